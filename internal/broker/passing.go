package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// away are what an address answers whose broker is down.
var away = []error{syscall.ECONNREFUSED, syscall.ECONNABORTED, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ETIMEDOUT}

// unknown are the errors of a topic that is not there, which the protocol takes
// for something that passes.
var unknown = []error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID}

// Passing reports whether err is of a broker or a network that is away and may
// come back by itself: nobody listens, nobody answers, a name cannot be looked
// up, a partition has no leader. What a person must mend does not pass: a login
// that is refused, a certificate, a topic that is not there, a right that is
// missing. Who only hangs up or is silent, also where TLS or a login is missing
// on one side, cannot be told from a broker that is restarting.
func Passing(err error) bool {
	if err == nil || Refused(err) || unfit(err) {
		return false
	}
	is := func(target error) bool { return errors.Is(err, target) }
	if answer, ok := errors.AsType[*kerr.Error](err); ok {
		return answer.Retriable && !slices.ContainsFunc(unknown, is)
	}
	if errors.As(err, new(*net.DNSError)) || slices.ContainsFunc(away, is) {
		return true
	}
	// The client knows a broker by its number before it knows where it is.
	return isTimeout(err) || isHangUp(err) || kgo.IsRetryableBrokerErr(err) || strings.Contains(err.Error(), "unknown broker")
}

// unfit reports whether one side does not take what the other shows in TLS, or
// only one of them speaks it.
func unfit(err error) bool {
	var remote *net.OpError
	return errors.As(err, new(x509.UnknownAuthorityError)) || errors.As(err, new(x509.CertificateInvalidError)) || errors.As(err, new(x509.HostnameError)) ||
		errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError)) ||
		errors.As(err, &remote) && remote.Op == "remote error" || strings.Contains(err.Error(), "tls alert record")
}
