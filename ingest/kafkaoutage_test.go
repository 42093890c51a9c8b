package ingest

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/broker"
)

// port returns the port of a cluster of one broker.
func port(t *testing.T, c *kfake.Cluster) int {
	t.Helper()
	_, s, err := net.SplitHostPort(c.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestABrokerThatComesBackIsReadOn(t *testing.T) {
	dir := t.TempDir()
	c := kafka(t, kfake.SeedTopics(3, "t"), kfake.DataDir(dir))
	at := port(t, c)
	cl := producer(t, c)
	var log said
	cfg := topicConfig(t, c)
	cfg.Log = log.logger()
	for p := range 3 {
		write(t, cl, recordsOf(p, 0, 500)...)
	}
	top := openTopic(t, cfg)
	for p := range 3 {
		wantLines(t, collect(t, top, p, 500), p, 0, 500)
	}
	for life := 1; life <= 2; life++ {
		before := top.Errors()
		cl.Close()
		c.Close()
		eventually(t, "the outage is noticed", func() bool { return top.Errors() > before })
		if top.CaughtUp(0) || top.Lag(0) >= 0 {
			t.Errorf("caught up %v, lag %d, while no broker answers", top.CaughtUp(0), top.Lag(0))
		}
		c = kafka(t, kfake.Ports(at), kfake.DataDir(dir))
		back := time.Now()
		cl = producer(t, c)
		for p := range 3 {
			write(t, cl, recordsOf(p, 500*life, 500)...)
			if p == 0 {
				wantLines(t, collect(t, top, p, 500), p, 500*life, 500)
				t.Logf("read on %v after the broker is back", time.Since(back))
				continue
			}
			wantLines(t, collect(t, top, p, 500), p, 500*life, 500)
		}
		eventually(t, "caught up", func() bool { return top.CaughtUp(0) })
	}
	if !strings.Contains(log.String(), "refuses the connection: nothing listens there") || !strings.Contains(log.String(), "the brokers answer again") {
		t.Errorf("the log does not say what was wrong and that it is over:\n%s", log.String())
	}
	if _, n := top.Blind(); n != 0 {
		t.Errorf("blind to %d offsets, want none", n)
	}
}

// TestALogThatLostItsEndIsSaid has the broker come back without its last
// records, and take others in their place.
func TestALogThatLostItsEndIsSaid(t *testing.T) {
	dir := t.TempDir()
	now, before := filepath.Join(dir, "now"), filepath.Join(dir, "before")
	c := kafka(t, kfake.SeedTopics(1, "t"), kfake.DataDir(now))
	at := port(t, c)
	restart := func() {
		c.Close()
		c = kafka(t, kfake.Ports(at), kfake.DataDir(now))
	}
	produce := func(from, n int) {
		cl := producer(t, c)
		write(t, cl, recordsOf(0, from, n)...)
		cl.Close()
	}
	produce(0, 40)
	c.Close()
	if err := os.CopyFS(before, os.DirFS(now)); err != nil {
		t.Fatal(err)
	}
	restart()
	produce(40, 60)
	var log said
	cfg := topicConfig(t, c)
	cfg.Log = log.logger()
	top := openTopic(t, cfg)
	wantLines(t, collect(t, top, 0, 100), 0, 0, 100)

	c.Close()
	if err := errors.Join(os.RemoveAll(now), os.CopyFS(now, os.DirFS(before))); err != nil {
		t.Fatal(err)
	}
	restart()
	produce(1040, 30) // offsets 40 to 69 once more
	eventually(t, "the loss is said", func() bool { _, n := top.Blind(); return n > 0 })
	produce(70, 40)
	lines := collect(t, top, 0, 10)
	if want := (line{100, "0/100"}); lines[0] != want {
		t.Errorf("goes on with %v, want %v: an offset counts once", lines[0], want)
	}
	gaps, n := top.Blind()
	if len(gaps) != 1 || gaps[0].Why != GapReplaced || gaps[0].To != 100 || gaps[0].From > 40 || n != 100-gaps[0].From {
		t.Errorf("blind to %+v, %d in all, want 40 to 100 to have been replaced", gaps, n)
	}
	if !strings.Contains(log.String(), "unclean election") {
		t.Errorf("nothing was said:\n%s", log.String())
	}
}

func TestATopicThatIsCreatedAnewIsSaid(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	cl := producer(t, c)
	write(t, cl, recordsOf(0, 0, 10)...)
	var log said
	cfg := topicConfig(t, c)
	cfg.Log = log.logger()
	top := openTopic(t, cfg)
	wantLines(t, collect(t, top, 0, 10), 0, 0, 10)
	eventually(t, "caught up", func() bool { return top.CaughtUp(0) })
	admin := kadm.NewClient(cl)
	if _, err := admin.DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is missed", func() bool { return strings.Contains(log.String(), "the topic does not exist") })
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is another one", func() bool { return strings.Contains(log.String(), "created anew") })
	if top.CaughtUp(0) || top.Lag(0) >= 0 {
		t.Error("a topic that is not read any more is caught up")
	}
}

func TestAPasswordThatIsChangedStopsReadingUntilItIsKnown(t *testing.T) {
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	write1 := func(p string) {
		if err := os.WriteFile(password, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	user := func(p string) []kfake.Opt {
		return []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "weir", p), kfake.Superuser("PLAIN", "admin", "admin"), kfake.DataDir(filepath.Join(dir, "kafka"))}
	}
	admin := func(c *kfake.Cluster) *kgo.Client {
		opts, err := broker.Config{Brokers: c.ListenAddrs(), SASL: &broker.SASL{Mechanism: "plain", User: "admin", PasswordEnv: "WEIR_TEST_ADMIN"}}.Options(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return producer(t, c, opts...)
	}
	t.Setenv("WEIR_TEST_ADMIN", "admin")
	c := kafka(t, append(user("one"), kfake.SeedTopics(1, "t"))...)
	at := port(t, c)
	write1("nobody knows")
	var log said
	cfg := topicConfig(t, c)
	cfg.Log = log.logger()
	bc := broker.Config{Brokers: c.ListenAddrs(), SASL: &broker.SASL{Mechanism: "scram-sha-256", User: "weir", PasswordFile: password}}
	cfg.Client = clientOpts(t, bc)
	if _, err := OpenTopic(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "wrong user or password") {
		t.Fatalf("got %v with a wrong password", err)
	}
	write1("one")
	cl := admin(c)
	write(t, cl, recordsOf(0, 0, 10)...)
	cfg.Client = clientOpts(t, bc) // as if weir were started anew
	top := openTopic(t, cfg)
	wantLines(t, collect(t, top, 0, 10), 0, 0, 10)

	cl.Close()
	c.Close()
	if err := os.Remove(filepath.Join(dir, "kafka", "sasl.json")); err != nil { // else the users would be the old ones
		t.Fatal(err)
	}
	c = kafka(t, append(user("two"), kfake.Ports(at))...)
	var attempts atomic.Int64
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if bytes.HasPrefix(req.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes, []byte("n,,n=weir")) {
			attempts.Add(1)
		}
		return nil, nil, false
	})
	begin := time.Now()
	eventually(t, "the refused login is said", func() bool { return strings.Contains(log.String(), "the broker refuses the login") })
	if n, most := attempts.Load(), int64(time.Since(begin)/time.Second)+2; n == 0 || n > most {
		t.Errorf("%d attempts in %v, want 1 to %d", n, time.Since(begin), most)
	}
	write(t, admin(c), recordsOf(0, 10, 10)...)
	write1("two")
	wantLines(t, collect(t, top, 0, 10), 0, 10, 10)
	if s := log.String(); strings.Contains(s, "nobody knows") || strings.Contains(s, "one\n") {
		t.Errorf("the log shows a password:\n%s", s)
	}
}

func TestATopicIsReadOverTLSAndWithALogin(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	dir := t.TempDir()
	ca, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	over := kfake.TLS(&tls.Config{Certificates: web.TLS.Certificates})
	for _, tc := range []struct {
		name, mechanism, kafka string
		tls                    bool
	}{
		{"tls", "", "", true},
		{"plain over tls", "plain", "PLAIN", true},
		{"scram-sha-256", "scram-sha-256", "SCRAM-SHA-256", false},
		{"scram-sha-512 over tls", "scram-sha-512", "SCRAM-SHA-512", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kopts := []kfake.Opt{kfake.SeedTopics(1, "t")}
			bc := broker.Config{}
			if tc.tls {
				kopts = append(kopts, over)
				bc.TLS = &broker.TLS{CAFile: ca}
			}
			if tc.mechanism != "" {
				kopts = append(kopts, kfake.EnableSASL(), kfake.Superuser(tc.kafka, "weir", "secret"))
				bc.SASL = &broker.SASL{Mechanism: tc.mechanism, User: "weir", PasswordFile: password}
			}
			c := kafka(t, kopts...)
			bc.Brokers = c.ListenAddrs()
			opts := clientOpts(t, bc)
			write(t, producer(t, c, opts...), recordsOf(0, 0, 100)...)
			cfg := topicConfig(t, c)
			cfg.Client = opts
			top := openTopic(t, cfg)
			wantLines(t, collect(t, top, 0, 100), 0, 0, 100)
			eventually(t, "caught up", func() bool { return top.CaughtUp(0) })
		})
	}
}

func TestFaultsAreCountedAndSaidOnceInAWhile(t *testing.T) {
	var f faults
	at := time.Now()
	said := 0
	for i := range 100 { // ten a second
		if ok, unsaid := f.due("refused", at.Add(time.Duration(i)*100*time.Millisecond)); ok {
			said++
			if unsaid != 0 {
				t.Errorf("%d were not said before the first", unsaid)
			}
		}
	}
	if said != 1 {
		t.Errorf("said %d times in ten seconds, want once", said)
	}
	if ok, unsaid := f.due("refused", at.Add(sayEvery)); !ok || unsaid != 99 {
		t.Errorf("got %v, %d unsaid, want it said with 99", ok, unsaid)
	}
	for i := range 2 * maxKinds {
		f.due(strconv.Itoa(i), at.Add(sayEvery))
	}
	if len(f.kinds) > maxKinds {
		t.Errorf("%d kinds are kept, want at most %d", len(f.kinds), maxKinds)
	}
	if ok, _ := f.due("later", at.Add(2*sayEvery)); !ok {
		t.Error("old kinds leave no room for a new one")
	}
}
