package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// fault is an error as a sentence.
type fault struct {
	text string
	err  error
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }

// Sentence turns an error of a client or a broker into one that an operator can
// act on; it wraps the error.
func Sentence(err error) error { return explain(err, nil) }

// Explain is Sentence for an error of this client: many brokers only hang up on
// a wrong password, and the client knows that it was about to log in.
func Explain(cl *kgo.Client, err error) error {
	m, _ := cl.OptValue(kgo.SASL).([]sasl.Mechanism)
	for _, m := range m {
		if p, ok := m.(*paced); ok {
			return explain(err, p)
		}
	}
	return explain(err, nil)
}

func explain(err error, login *paced) error {
	var done *fault
	if err == nil || errors.As(err, &done) {
		return err
	}
	text := ""
	for _, f := range []func(error, *paced) string{loginText, tlsText, dialText, answerText} {
		if text = f(err, login); text != "" {
			break
		}
	}
	if text == "" {
		text = "the broker cannot be used: " + err.Error()
	}
	return &fault{text, err}
}

// Refused reports whether err says that a broker does not let weir in, which
// only a person can mend.
func Refused(err error) bool {
	var f *fault
	if errors.As(err, &f) && strings.HasPrefix(f.text, badLogin) {
		return true
	}
	return errors.Is(err, kerr.SaslAuthenticationFailed) || errors.Is(err, kerr.UnsupportedSaslMechanism)
}

const badLogin = "the broker refuses the login"

// loginText says what is wrong with the login.
func loginText(err error, login *paced) string {
	who := ""
	if login != nil {
		who = fmt.Sprintf(" of user %q with %s", login.user, login.Name())
	}
	var first *kgo.ErrFirstReadEOF
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return badLogin + who + ": wrong user or password (sasl.user, sasl.password_file or sasl.password_env)"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return badLogin + who + ": it does not support this mechanism; set sasl.mechanism to one that its listener offers"
	case login != nil && login.failing() && isHangUp(err) && !errors.As(err, new(*dialError)) && !errors.As(err, &first):
		return badLogin + who + ": it hung up while weir logged in, which is how some brokers say: wrong user or password (sasl.user, sasl.password_file or sasl.password_env)"
	case errors.Is(err, errNotYet), login != nil && login.hopeless() && isTimeout(err):
		return badLogin + who + ": most likely a wrong user or password (sasl.user, sasl.password_file or sasl.password_env)"
	case errors.As(err, &first) && strings.Contains(first.Error(), "SASL"):
		return "the broker hung up on the first request: it wants a login; add sasl"
	}
	return ""
}

// isHangUp reports whether the other side ended the connection.
func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isTimeout reports whether there was no answer in time.
func isTimeout(err error) bool { return os.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded) }

// tlsText says what is wrong with TLS.
func tlsText(err error, _ *paced) string {
	at := addrOf(err)
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		header  tls.RecordHeaderError
		remote  *net.OpError
		dial    *dialError
		first   *kgo.ErrFirstReadEOF
	)
	switch {
	case errors.As(err, &unknown):
		return at + " shows a certificate of an authority that weir does not know: set tls.ca_file to the authority's certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("%s shows a certificate that is not valid now (it is from %s to %s): renew it, or set this machine's clock", at,
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &host):
		return fmt.Sprintf("%s shows a certificate for another name (%v): use that name in brokers, or set tls.server_name", at, host)
	case errors.As(err, &invalid):
		return fmt.Sprintf("%s shows a certificate that cannot be used: %v", at, invalid)
	case errors.As(err, &header):
		return at + " does not speak TLS; take tls out of the configuration, or use the port of the broker's TLS listener"
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert
		return fmt.Sprintf("%s ends the TLS handshake (%v): it may want a client certificate (tls.cert_file and tls.key_file), or another version of TLS", at, remote.Err)
	case errors.As(err, &dial) && dial.tls && (isHangUp(err) || isTimeout(err)):
		return at + " takes the connection, but not TLS: most likely it does not speak TLS; take tls out of the configuration, or use the port of the broker's TLS listener"
	case strings.Contains(err.Error(), "tls alert record"):
		return "the broker speaks TLS and weir does not: add tls, or use the port of a plaintext listener"
	case errors.As(err, &first) && strings.Contains(first.Error(), "is TLS missing"):
		return "the broker hung up on the first request: most likely it speaks TLS and weir does not; add tls, or use the port of a plaintext listener"
	}
	return ""
}

// dialText says why nobody answers.
func dialText(err error, _ *paced) string {
	at := addrOf(err)
	var dns *net.DNSError
	var dial *dialError
	isDial := errors.As(err, &dial)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("the host of %s is unknown: check brokers, this machine's DNS, and what the brokers call themselves (advertised.listeners)", at)
	case errors.As(err, &dns):
		return fmt.Sprintf("the host of %s cannot be looked up (%v): check this machine's DNS", at, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return at + " refuses the connection: nothing listens there; check that the broker runs, and the port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return at + " cannot be reached: there is no route to it"
	case isDial && isTimeout(err):
		return at + " does not answer: check the address, and firewalls in between"
	case isTimeout(err):
		return "no answer from the brokers in time"
	case isHangUp(err):
		return "the broker hung up: it may be restarting"
	case isDial:
		return fmt.Sprintf("%s cannot be connected to: %v", at, dial.err)
	}
	return ""
}

// answerText says what a broker means by an error of its own.
func answerText(err error, _ *paced) string {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "the user may not do this with the topic: grant it Describe and Read (to read), or Describe and Write (to write)"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "the user may not commit offsets for the group: grant it Read on the group"
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "the user may not do this in the cluster: grant it IdempotentWrite"
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return "the topic does not exist, or the user may not see it (Describe)"
	}
	if answer, ok := errors.AsType[*kerr.Error](err); ok {
		return fmt.Sprintf("the broker answers %s: %s", answer.Message, strings.ToLower(strings.TrimSuffix(answer.Description, ".")))
	}
	return ""
}

// addrOf returns whom an error is about.
func addrOf(err error) string {
	if d, ok := errors.AsType[*dialError](err); ok {
		return d.addr
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return op.Addr.String()
	}
	return "the broker"
}
