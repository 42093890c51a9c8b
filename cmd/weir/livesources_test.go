package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is an address of a broker that can be taken away.
type gate struct {
	t    *testing.T
	to   string
	addr string

	mu    sync.Mutex
	open  net.Listener
	conns []net.Conn
	wg    sync.WaitGroup
}

func newGate(t *testing.T, to string) *gate {
	g := &gate{t: t, to: to, addr: "127.0.0.1:0"}
	g.up()
	t.Cleanup(g.down)
	return g
}

func (g *gate) up() {
	g.t.Helper()
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.open, g.addr = l, l.Addr().String()
	g.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return // it is taken away
			}
			out, err := net.Dial("tcp", g.to)
			if err != nil {
				in.Close()
				return
			}
			g.mu.Lock()
			g.conns = append(g.conns, in, out)
			g.mu.Unlock()
			for _, c := range [][2]net.Conn{{in, out}, {out, in}} {
				g.wg.Go(func() {
					io.Copy(c[0], c[1]) // until one of them is closed
					c[0].Close()
				})
			}
		}
	})
}

func (g *gate) down() {
	g.open.Close() // it may have been before
	g.mu.Lock()
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.wg.Wait()
}

// saidLog is a log that may be read while it is written.
type saidLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *saidLog) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *saidLog) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A run whose broker is away when it starts waits for it, if it has read it
// before; what is in force stays so.
func TestARunWaitsForABrokerThatIsAwayWhenItStarts(t *testing.T) {
	t.Parallel()
	g := newGate(t, embedded(t)[0])
	w := newLiveWorld(t, []string{g.addr})
	w.at = time.Now().UTC().Truncate(time.Second).Add(-2 * time.Minute)
	open := func() (*liveRun, *saidLog, error) {
		out := &saidLog{}
		l, err := (&environment{out: io.Discard, errOut: io.Discard, log: slog.New(slog.NewTextHandler(out, nil))}).openLiveRun(context.Background(), w.config)
		return l, out, err
	}
	g.down()
	if _, _, err := open(); err == nil || !strings.Contains(err.Error(), "source access: ") || !strings.Contains(err.Error(), "refuses the connection") {
		t.Fatalf("a new state without its broker: %v", err)
	}
	g.up()
	w.send(60, 0, all()...)
	l, stop := w.run()
	w.quiet(l)
	stop()
	listed := w.listedNow()

	g.down()
	l, out, err := open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	for begun := time.Now(); l.keepers[0].Status().Seen.IsZero(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("its point is not kept while it waits:\n%s", out)
		}
	}
	if now := w.listedNow(); len(listed) == 0 || len(now) != len(listed) {
		t.Errorf("while it waits the list is %v, and was %v", now, listed)
	}
	if text := out.String(); !strings.Contains(text, "a source is away: weir waits for it") || !strings.Contains(text, "refuses the connection") {
		t.Errorf("it does not say what it waits for:\n%s", text)
	}
	select {
	case err := <-ended:
		t.Fatalf("it does not wait: %v", err)
	default:
	}
	cancel() // as Ctrl-C does
	if err := errors.Join(<-ended, l.close()); err != nil {
		t.Errorf("told to stop while it waits: %v", err)
	}

	l, out, err = open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	go func() { ended <- l.run(ctx) }()
	g.up()
	w.send(20, 0, all()...)
	w.sent = 20 * int64(w.rate) // since this start
	w.quiet(l)
	cancel()
	if err := errors.Join(<-ended, l.close()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "msg=reading source=access") {
		t.Errorf("it does not say that it reads:\n%s", out)
	}

	// What does not pass ends it at once.
	w.write("weir.yaml", strings.Replace(w.text(), "topic: access", "topic: excess", 1))
	if _, _, err := open(); err == nil || !strings.Contains(err.Error(), "topic excess: the topic does not exist") {
		t.Errorf("with a topic that is not there: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(w.dir, "state", journalFile)); err != nil || !bytes.Contains(b, []byte(`"event":"start"`)) {
		t.Errorf("the journal is %s, %v", b, err)
	}
}
