package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/ingest"
	"weir/internal/broker"
	"weir/internal/kafkatest"
)

// passwordFile writes a password as an operator does.
func passwordFile(t *testing.T, password string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func options(t *testing.T, c broker.Config) []kgo.Opt {
	t.Helper()
	opts, err := c.Options(samePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

func TestATopicIsReadOverTLSAndWithALogin(t *testing.T) {
	const rate = 150
	cluster := kafkatest.Start(t, kafkatest.Options{TLS: true, SASL: true})
	cluster.Create("access", partitions)
	l := newLoad(t, cluster.Addr(), "access", rate, false)
	if err := l.log(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.last(t.Context(), l.requests.some(10)); err != nil {
		t.Fatal(err)
	}
	total, _ := truth(t, cluster.Addr(), "access")
	if total < rate*int64(span.Seconds()) {
		t.Fatalf("the topic holds %d records, want at least %d", total, rate*int64(span.Seconds()))
	}
	e := newEngine(t)
	plain, sum := e.replay(t, options(t, broker.Config{Brokers: cluster.Addr()}), nil)
	if sum.Events != total || len(plain.all) == 0 {
		t.Errorf("plain: %d of %d records counted, %d decisions", sum.Events, total, len(plain.all))
	}
	trust := &broker.TLS{CAFile: cluster.CAFile()}
	password := passwordFile(t, kafkatest.Password)
	for what, c := range map[string]broker.Config{
		"tls": {Brokers: cluster.TLSAddr(), TLS: trust},
		"scram-sha-512": {Brokers: cluster.SASLAddr(), TLS: trust, SASL: &broker.SASL{
			Mechanism: "scram-sha-512", User: kafkatest.User, PasswordFile: password}},
		"scram-sha-256": {Brokers: cluster.SASLAddr(), TLS: trust, SASL: &broker.SASL{
			Mechanism: "scram-sha-256", User: kafkatest.User, PasswordFile: password}},
		"plain": {Brokers: cluster.SASLAddr(), TLS: trust, SASL: &broker.SASL{
			Mechanism: "plain", User: kafkatest.User, PasswordFile: password}},
	} {
		opts := options(t, c)
		if err := broker.Try(t.Context(), opts); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		got, sum := e.replay(t, opts, nil)
		if sum.Events != total {
			t.Errorf("%s: %d of %d records counted", what, sum.Events, total)
		}
		compare(t, got.all, plain.all)
	}
	if n := cluster.RefusedLogins(); n != 0 {
		t.Errorf("%d log-ins with the right password were refused", n)
	}

	wrongPassword(t, cluster, trust)
}

// wrongPassword asks that a wrong password is said soon, once, and not tried
// on and on.
func wrongPassword(t *testing.T, cluster *kafkatest.Cluster, trust *broker.TLS) {
	const wrong = "battery-staple"
	file := passwordFile(t, wrong)
	for _, mechanism := range []string{"scram-sha-512", "plain"} {
		opts := options(t, broker.Config{Brokers: cluster.SASLAddr(), TLS: trust, SASL: &broker.SASL{
			Mechanism: mechanism, User: kafkatest.User, PasswordFile: file}})
		for what, try := range map[string]func() error{
			"try": func() error { return broker.Try(t.Context(), opts) },
			"open": func() error {
				src, err := ingest.OpenTopic(t.Context(), ingest.TopicConfig{Name: "access", Topic: "access", Client: opts, Start: "begin"})
				if err == nil {
					src.Close()
				}
				return err
			},
		} {
			before := cluster.RefusedLogins()
			begin := time.Now()
			err := try()
			took := time.Since(begin)
			time.Sleep(time.Second) // whoever tries on in the background has come by then
			attempts := cluster.RefusedLogins() - before
			if err == nil {
				t.Errorf("%s, %s: a wrong password is no error", what, mechanism)
				continue
			}
			text := err.Error()
			if !strings.Contains(text, `"`+kafkatest.User+`"`) || !strings.Contains(strings.ToLower(text), mechanism) ||
				strings.Contains(text, wrong) || strings.Contains(text, "\n") {
				t.Errorf("%s, %s: %q, want one line with the user and the mechanism and without the password", what, mechanism, text)
			}
			if took > 5*time.Second {
				t.Errorf("%s, %s: it took %v, want at most 5 s", what, mechanism, took)
			}
			if attempts < 1 || attempts > 3 {
				t.Errorf("%s, %s: the broker saw %d attempts, want one to three", what, mechanism, attempts)
			}
			t.Logf("%s, %s: after %.2f s and %d attempt(s): %v", what, mechanism, took.Seconds(), attempts, err)
		}
	}
}
func samePath(path string) string { return path }
