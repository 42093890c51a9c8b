package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// How a client behaves towards brokers that do not answer.
const (
	dialTimeout = 4 * time.Second // the TLS handshake included; Try takes no longer than five
	minBackoff  = 250 * time.Millisecond
	maxBackoff  = 4 * time.Second // a broker that is back is found within ten seconds
	metadataAge = 5 * time.Second // so soon new partitions and moved leaders are seen
)

// Options returns what a client needs. Path makes a path of the configuration
// absolute. The password is read again whenever it is needed, so that it can
// be changed while weir runs.
func (c Config) Options(path func(string) string, log *slog.Logger) ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	conf, err := c.tlsConfig(path)
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID("weir"),
		kgo.SoftwareNameAndVersion("weir", "1"),
		kgo.RetryBackoffFn(backoff),
		kgo.MetadataMaxAge(metadataAge),
		kgo.MetadataMinAge(time.Second),
		kgo.ConnIdleTimeout(time.Minute),
		kgo.DisableClientMetrics(),
		kgo.WithLogger(logger{log}),
	}
	var login *paced
	if c.SASL != nil {
		if login, err = c.SASL.mechanism(path); err != nil {
			return nil, fmt.Errorf("sasl: %w", err)
		}
		opts = append(opts, kgo.SASL(login))
	}
	return append(opts, kgo.Dialer(dialer(conf, login))), nil
}

// tlsConfig returns nil where TLS is not configured.
func (c Config) tlsConfig(path func(string) string) (*tls.Config, error) {
	t := c.TLS
	if t == nil {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(path(t.CAFile))
		if err != nil {
			return nil, fmt.Errorf("tls: ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca_file: %s: holds no certificate in PEM form", path(t.CAFile))
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(path(t.CertFile), path(t.KeyFile))
		if err != nil {
			return nil, fmt.Errorf("tls: cert_file %s, key_file %s: %w", path(t.CertFile), path(t.KeyFile), err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// dialer returns how to connect, with errors that know where to and how.
// Login is nil where there is none.
func dialer(conf *tls.Config, login *paced) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if login != nil && login.pausing() {
			return nil, &dialError{addr: addr, err: errPaused}
		}
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, &dialError{addr: addr, err: err}
		}
		if conf == nil {
			return conn, nil
		}
		c := conf
		if c.ServerName == "" {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, errors.Join(&dialError{addr: addr, err: err}, conn.Close())
			}
			c = conf.Clone()
			c.ServerName = host
		}
		t := tls.Client(conn, c)
		if err := t.HandshakeContext(ctx); err != nil {
			conn.Close() // the handshake's error says why
			return nil, &dialError{addr: addr, tls: true, err: err}
		}
		return t, nil
	}
}

// dialError is why there is no connection to an address.
type dialError struct {
	addr string
	tls  bool // it could be connected to, but the TLS handshake failed
	err  error
}

func (e *dialError) Error() string { return e.addr + ": " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// backoff is how long to wait after so many failures in a row: longer each
// time, and not the same for all clients of a cluster that comes back.
func backoff(fails int) time.Duration {
	d := minBackoff << max(0, min(fails-1, 8))
	return time.Duration(float64(min(d, maxBackoff)) * (0.8 + 0.4*rand.Float64()))
}

// mechanism returns who weir is, paced.
func (s *SASL) mechanism(path func(string) string) (*paced, error) {
	password := s.password(path)
	if _, err := password(); err != nil {
		return nil, err
	}
	var inner sasl.Mechanism
	scramAuth := func(context.Context) (scram.Auth, error) {
		p, err := password()
		return scram.Auth{User: s.User, Pass: p}, err
	}
	switch s.Mechanism {
	case "scram-sha-256":
		inner = scram.Sha256(scramAuth)
	case "scram-sha-512":
		inner = scram.Sha512(scramAuth)
	default:
		inner = plain.Plain(func(context.Context) (plain.Auth, error) {
			p, err := password()
			return plain.Auth{User: s.User, Pass: p}, err
		})
	}
	return newPaced(inner, s.User), nil
}
