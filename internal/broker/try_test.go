package broker

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const secret = "tr0ub4dor-and-3"

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue returns a certificate for 127.0.0.1 or a name that is valid until then.
func (a *authority) issue(name string, until time.Time) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func writePEM(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// journal collects what is logged, at every level.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func options(t *testing.T, cfg Config) ([]kgo.Opt, *journal) {
	t.Helper()
	j := &journal{}
	opts, err := cfg.Options(func(p string) string { return p }, slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	return opts, j
}

// login is who the tests are.
func login(t *testing.T, mechanism, password string) *SASL {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &SASL{Mechanism: mechanism, User: "weir", PasswordFile: name}
}

// closedPort returns an address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestTryConnects(t *testing.T) {
	ca := newAuthority(t)
	server := ca.issue("127.0.0.1", time.Now().Add(time.Hour))
	client := ca.issue("weir", time.Now().Add(time.Hour))
	dir := t.TempDir()
	der, err := x509.MarshalECPrivateKey(client.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, cert, "CERTIFICATE", client.Certificate[0])
	writePEM(t, key, "EC PRIVATE KEY", der)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)

	over := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}})
	users := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "weir", secret), kfake.Superuser("SCRAM-SHA-256", "weir", secret), kfake.Superuser("SCRAM-SHA-512", "weir", secret)}
	for _, c := range []struct {
		name  string
		kafka []kfake.Opt
		tls   *TLS
		sasl  string
	}{
		{"plaintext", nil, nil, ""},
		{"tls", []kfake.Opt{over}, &TLS{CAFile: ca.file}, ""},
		{"tls with a client certificate", []kfake.Opt{kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})},
			&TLS{CAFile: ca.file, CertFile: cert, KeyFile: key}, ""},
		{"tls with another name", []kfake.Opt{kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue("kafka.example", time.Now().Add(time.Hour))}})},
			&TLS{CAFile: ca.file, ServerName: "kafka.example"}, ""},
		{"scram-sha-256", users, nil, "scram-sha-256"},
		{"scram-sha-512 over tls", append(users, over), &TLS{CAFile: ca.file}, "scram-sha-512"},
		{"plain over tls", append(users, over), &TLS{CAFile: ca.file}, "plain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := cluster(t, c.kafka...)
			cfg := Config{Brokers: k.ListenAddrs(), TLS: c.tls}
			if c.sasl != "" {
				cfg.SASL = login(t, c.sasl, secret)
			}
			opts, log := options(t, cfg)
			if err := Try(t.Context(), opts); err != nil {
				t.Error(err)
			}
			if strings.Contains(log.String(), secret) {
				t.Error("the log shows the password")
			}
		})
	}
}

func TestTrySaysWhatIsWrong(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.issue("127.0.0.1", time.Now().Add(time.Hour))
	over := func(c tls.Certificate) kfake.Opt { return kfake.TLS(&tls.Config{Certificates: []tls.Certificate{c}}) }
	silent, err := net.Listen("tcp", "127.0.0.1:0") // answers nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	user := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "weir", secret), kfake.Superuser("PLAIN", "weir", secret)}
	answering := func(key int16, resp func() kmsg.Response) func(*kfake.Cluster) {
		return func(k *kfake.Cluster) {
			k.ControlKey(key, func(req kmsg.Request) (kmsg.Response, error, bool) {
				k.KeepControl()
				r := resp()
				r.SetVersion(req.GetVersion())
				return r, nil, true
			})
		}
	}
	for _, c := range []struct {
		name    string
		kafka   []kfake.Opt
		control func(*kfake.Cluster)
		addr    string // instead of a cluster's
		tls     *TLS
		sasl    *SASL
		want    string
		passes  bool
	}{
		{name: "refused", addr: closedPort(t), passes: true, want: "refuses the connection: nothing listens there"},
		{name: "unknown host", addr: "nowhere.invalid:9092", passes: true, want: "the host of nowhere.invalid:9092 is unknown"},
		{name: "silent", addr: silent.Addr().String(), passes: true, want: "no answer from the brokers in time"},
		{name: "silent to tls", addr: silent.Addr().String(), tls: &TLS{}, passes: true, want: "takes the connection, but not TLS"},
		{name: "tls to plaintext", tls: &TLS{CAFile: ca.file}, passes: true, want: "it does not speak TLS; take tls out of"},
		{name: "plaintext to tls", kafka: []kfake.Opt{over(good)}, passes: true, want: "speaks TLS and weir does not"},
		{name: "unknown authority", kafka: []kfake.Opt{over(good)}, tls: &TLS{CAFile: other.file}, want: "set tls.ca_file"},
		{name: "expired", kafka: []kfake.Opt{over(ca.issue("127.0.0.1", time.Now().Add(-time.Hour)))}, tls: &TLS{CAFile: ca.file}, want: "renew it"},
		{name: "another name", kafka: []kfake.Opt{over(ca.issue("kafka.example", time.Now().Add(time.Hour)))}, tls: &TLS{CAFile: ca.file}, want: "set tls.server_name"},
		{name: "old tls only", kafka: []kfake.Opt{kfake.TLS(&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})}, tls: &TLS{CAFile: ca.file}, want: "ends the TLS handshake"},
		{name: "no login", kafka: user, passes: true, want: "add sasl"},
		{name: "wrong password, scram", kafka: user, sasl: login(t, "scram-sha-512", secret+"x"), want: "wrong user or password"},
		{name: "wrong password, plain over tls", kafka: append(user, over(good)), tls: &TLS{CAFile: ca.file}, sasl: login(t, "plain", secret+"x"), want: "wrong user or password"},
		{name: "wrong password, as Kafka says it", kafka: user, sasl: login(t, "plain", secret), want: `of user "weir" with PLAIN: wrong user or password`,
			control: answering(int16(kmsg.SASLAuthenticate), func() kmsg.Response {
				r := kmsg.NewPtrSASLAuthenticateResponse()
				r.ErrorCode, r.ErrorMessage = kerr.SaslAuthenticationFailed.Code, new("Authentication failed: Invalid username or password")
				return r
			})},
		{name: "unsupported mechanism", kafka: user, sasl: login(t, "plain", secret), want: "does not support this mechanism",
			control: answering(int16(kmsg.SASLHandshake), func() kmsg.Response {
				r := kmsg.NewPtrSASLHandshakeResponse()
				r.ErrorCode, r.SupportedMechanisms = kerr.UnsupportedSaslMechanism.Code, []string{"GSSAPI"}
				return r
			})},
		{name: "advertised name unknown", passes: true, want: "advertised.listeners",
			control: answering(int16(kmsg.Metadata), func() kmsg.Response {
				r := kmsg.NewPtrMetadataResponse()
				r.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 5, Host: "inside.invalid", Port: 9092}}
				return r
			})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addrs := []string{c.addr}
			if c.addr == "" {
				k := cluster(t, c.kafka...)
				if c.control != nil {
					c.control(k)
				}
				addrs = k.ListenAddrs()
			}
			opts, log := options(t, Config{Brokers: addrs, TLS: c.tls, SASL: c.sasl})
			begin := time.Now()
			err := Try(context.Background(), opts)
			if took := time.Since(begin); took > tryTimeout+5*time.Second { // and what a busy machine adds
				t.Errorf("took %v", took)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error()+log.String(), secret) {
				t.Errorf("the error is more than a sentence, or it or the log shows the password: %v", err)
			}
			if Passing(err) != c.passes {
				t.Errorf("it passes: %v, want %v", Passing(err), c.passes)
			}
			t.Log(err)
		})
	}
}

func TestTryTopicSaysWhatIsMissing(t *testing.T) {
	acl := func(op kmsg.ACLOperation, topic string) kfake.ACL {
		return kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true}
	}
	k := cluster(t, kfake.SeedTopics(3, "open", "seen", "hidden"), kfake.EnableSASL(), kfake.EnableACLs(), kfake.AllowAutoTopicCreation(),
		kfake.User("PLAIN", "weir", secret, acl(kmsg.ACLOperationRead, "open"), acl(kmsg.ACLOperationDescribe, "open"), acl(kmsg.ACLOperationDescribe, "seen"), acl(kmsg.ACLOperationDescribe, "missing")))
	opts, _ := options(t, Config{Brokers: k.ListenAddrs(), SASL: login(t, "plain", secret)})
	for _, c := range []struct {
		topic  string
		access Access
		want   string
	}{
		{"open", Read, ""},
		{"open", Write, "grant it Write"},
		{"seen", Read, "grant it Read"},
		{"hidden", Read, "grant it Describe and Read"},
		{"missing", Read, "does not exist"},
	} {
		err := TryTopic(t.Context(), opts, c.topic, c.access)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.topic)) {
			t.Errorf("%s: got %v, want %q", c.topic, err, c.want)
		}
	}
	if k.TopicInfo("missing") != nil {
		t.Error("asking about a topic created it")
	}
}

func TestAWrongPasswordDoesNotHammerTheBroker(t *testing.T) {
	for _, c := range []struct {
		name  string
		hangs bool
	}{{"that says so", false}, {"that hangs up", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := cluster(t, kfake.NumBrokers(3), kfake.SeedTopics(12, "t"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "weir", secret))
			var attempts atomic.Int64
			k.ControlKey(int16(kmsg.SASLAuthenticate), func(kmsg.Request) (kmsg.Response, error, bool) {
				k.KeepControl()
				attempts.Add(1)
				r := kmsg.NewPtrSASLAuthenticateResponse()
				r.Version, r.ErrorCode = 2, kerr.SaslAuthenticationFailed.Code
				return r, nil, !c.hangs
			})
			opts, _ := options(t, Config{Brokers: k.ListenAddrs(), SASL: login(t, "plain", "wrong")})
			cl, err := kgo.NewClient(append(opts, kgo.ConsumeTopics("t"))...)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
			defer cancel()
			for ctx.Err() == nil { // and a caller who does not wait between attempts
				cl.PollFetches(ctx)
				if err := cl.Ping(ctx); err == nil {
					t.Fatal("a wrong password is accepted")
				}
			}
			if n, most := attempts.Load(), int64(time.Since(begin)/time.Second)+1; n == 0 || n > most {
				t.Errorf("%d attempts in %v, want 1 to %d", n, time.Since(begin), most)
			}
		})
	}
}

func TestAPasswordThatIsChangedIsUsed(t *testing.T) {
	k := cluster(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "weir", secret))
	who := login(t, "scram-sha-256", "old")
	opts, _ := options(t, Config{Brokers: k.ListenAddrs(), SASL: who})
	if err := Try(t.Context(), opts); err == nil || !Refused(err) {
		t.Fatalf("got %v, want a refused login", err)
	}
	if err := os.WriteFile(who.PasswordFile, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) { // the next attempt may not be due yet
		err := Try(t.Context(), opts)
		if err == nil {
			return
		}
		if !Refused(err) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestOptionsSayWhichFileIsWrong(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{TLS: &TLS{CAFile: "missing.pem"}}, "ca_file"},
		{Config{TLS: &TLS{CAFile: "empty.pem"}}, "holds no certificate"},
		{Config{TLS: &TLS{CertFile: "empty.pem", KeyFile: "empty.pem"}}, "cert_file"},
		{Config{SASL: &SASL{Mechanism: "scram-sha-256", User: "u", PasswordFile: "missing"}}, "password_file"},
		{Config{SASL: &SASL{Mechanism: "nonsense", User: "u", PasswordFile: "missing"}}, "mechanism"},
	} {
		c.cfg.Brokers = []string{"127.0.0.1:9092"}
		if _, err := c.cfg.Options(func(p string) string { return filepath.Join(dir, p) }, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
