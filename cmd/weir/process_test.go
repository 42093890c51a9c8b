package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
)

// What holds of weir as a process of its own, built as it ships.
func TestTheProcess(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for name, test := range map[string]func(*testing.T, string){
		"a signal ends a run under load":                  aSignalEndsARunUnderLoad,
		"a second signal ends a run at once":              aSecondSignalEndsARunAtOnce,
		"a run raises its soft limit of files":            aRunRaisesItsSoftLimitOfFiles,
		"a second instance is refused":                    aSecondInstanceIsRefused,
		"a killed run goes on as if nothing had happened": aKilledRunGoesOn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
}

// process is weir as an operator runs it.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output string // the file that it writes to
	ended  chan error
}

// start runs a command as a process.
func (s *followedSite) start(program string, args ...string) *process {
	s.t.Helper()
	out, err := os.CreateTemp(s.dir, "output-")
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	p := &process{t: s.t, cmd: exec.Command(program, append(args, "-c", s.config)...), output: out.Name(), ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait(); close(p.ended) }()
	s.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
		if s.t.Failed() {
			s.t.Logf("weir %s:\n%s", strings.Join(args, " "), p.said())
		}
	})
	return p
}

func (p *process) said() string { return readFile(p.t, p.output) }

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns with what the process ended, and how long that took.
func (p *process) wait(patience time.Duration) (state *os.ProcessState, took time.Duration) {
	p.t.Helper()
	begun := time.Now()
	select {
	case <-p.ended:
		return p.cmd.ProcessState, time.Since(begun)
	case <-time.After(patience):
		p.t.Fatalf("the process did not end within %v", patience)
		return nil, 0
	}
}

// load logs honest requests, some 2,000 a second, and moves an attack through
// addresses, one a second, until stop is called.
func (s *followedSite) load() (stop func() (attackers []string)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan []string, 1)
	go func() {
		var attackers []string
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		last := time.Time{}
		for {
			select {
			case <-ctx.Done():
				done <- attackers
				return
			case now := <-tick.C:
				pages := pageAt(now)
				pages.repeated = 200
				s.log(pages)
				if second := now.Truncate(time.Second); second.After(last) {
					last = second
					a := fmt.Sprintf("203.0.113.%d", len(attackers)%250+1)
					attackers = append(attackers, a)
					s.log(attackFrom(a, now))
				}
			}
		}
	}()
	return sync.OnceValue(func() []string {
		cancel()
		return <-done
	})
}

// inForce returns the addresses that the ledger's files say are in force.
func (s *followedSite) inForce() map[string]bool {
	s.t.Helper()
	key, err := event.LoadKey(s.path("key"))
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := emit.ReadLedger(s.path("state"), key)
	if err != nil {
		s.t.Fatal(err)
	}
	held := map[string]bool{}
	for _, e := range l.InForce().Entries {
		held[e.Decision.Target[0].Text] = true
	}
	if err := l.Close(); err != nil {
		s.t.Error(err)
	}
	return held
}

func aSignalEndsARunUnderLoad(t *testing.T, program string) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := newFollowedSite(t, "1h", plainPoint+nginxPoint)
			p := s.start(program, "run")
			stop := s.load()
			defer stop()
			s.until(30*time.Second, "two attackers are listed", func() bool { return len(s.listed("lists/block.txt")) >= 2 })
			p.signal(sig)
			state, took := p.wait(15 * time.Second)
			stop()
			t.Logf("%v: the process ended after %v with %d of its targets listed", sig, took.Round(time.Millisecond), len(s.listed("lists/block.txt")))
			if state.ExitCode() != 0 || took > 10*time.Second {
				t.Errorf("%v after %v, must be exit status 0 within 10 s", state, took)
			}
			held := s.inForce()
			if plain := s.listed("lists/block.txt"); len(held) < 2 || fmt.Sprint(plain) != fmt.Sprint(held) {
				t.Errorf("the list holds %v, in force is %v", plain, held)
			}
			for a := range held {
				if end := s.endOf(a); !end.After(time.Now()) {
					t.Errorf("nginx's list has %s until %v", a, end)
				}
			}
			if said := p.said(); strings.Contains(said, "goroutine ") || strings.Contains(said, "ERROR") {
				t.Errorf("it said:\n%s", said)
			}
		})
	}
}

// A point whose program hangs holds the end up, for some seconds at most; who
// does not want to wait for that gives the signal again.
func aSecondSignalEndsARunAtOnce(t *testing.T, program string) {
	for _, twice := range []bool{false, true} {
		t.Run(fmt.Sprintf("twice=%t", twice), func(t *testing.T) {
			t.Parallel()
			s := newFollowedSite(t, "1h", plainPoint+`
  - {name: hangs, nginx: {conf: lists/weir.conf, test: ["sleep", "60"], reload: ["true"]}}`)
			p := s.start(program, "run")
			s.until(30*time.Second, "it runs", func() bool { return strings.Contains(p.said(), "the api answers") })
			s.attackNow(attacker)
			s.until(10*time.Second, "the attacker is listed", func() bool { return s.listed("lists/block.txt")[attacker] })
			p.signal(syscall.SIGTERM)
			if twice {
				s.until(5*time.Second, "it is about to end", func() bool { return strings.Contains(p.said(), "stopping") })
				p.signal(syscall.SIGTERM)
			}
			state, took := p.wait(15 * time.Second)
			t.Logf("the process ended after %v: %v", took.Round(time.Millisecond), state)
			switch {
			case twice && (took > 2*time.Second || state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM):
				t.Errorf("%v after %v, must be by the signal, at once", state, took)
			case !twice && (took > 10*time.Second || state.ExitCode() != 1 || !strings.Contains(p.said(), "weir: point hangs: ")):
				t.Errorf("%v after %v, must be exit status 1 within 10 s, naming the point:\n%s", state, took, p.said())
			}
			if !s.listed("lists/block.txt")[attacker] {
				t.Error("the other list is not as it should be")
			}
		})
	}
}

func aSecondInstanceIsRefused(t *testing.T, program string) {
	s := newFollowedSite(t, "1h", plainPoint)
	p := s.start(program, "run")
	s.until(30*time.Second, "it runs", func() bool { return strings.Contains(p.said(), "the api answers") })
	second := s.start(program, "run")
	state, took := second.wait(10 * time.Second)
	want := fmt.Sprintf("weir: state: dir: %s: in use by process %d\n", s.path("state"), p.cmd.Process.Pid)
	if state.ExitCode() != 1 || second.said() != want || took > 5*time.Second {
		t.Errorf("%v after %v, said %q, must be %q", state, took, second.said(), want)
	}
	p.signal(syscall.SIGTERM)
	if state, _ := p.wait(10 * time.Second); state.ExitCode() != 0 {
		t.Errorf("the first ended with %v", state)
	}
}

// Killed three times under load and begun again each time, weir decides what a
// replay of the log decides, and no line of its files stands there twice.
func aKilledRunGoesOn(t *testing.T, program string) {
	s := newFollowedSite(t, "1h", plainPoint+nginxPoint)
	stop := s.load()
	defer stop()
	for i := range 3 {
		p := s.start(program, "run")
		s.until(30*time.Second, "there is another decision", func() bool { return len(s.listed("lists/block.txt")) >= 2*(i+1) })
		p.signal(syscall.SIGKILL)
		p.wait(5 * time.Second)
	}
	attackers := stop()
	s.log(pageAt(time.Now().Add(time.Second)))
	p := s.start(program, "run")
	s.until(30*time.Second, "every attacker is listed", func() bool { return len(s.listed("lists/block.txt")) == len(attackers) })
	p.signal(syscall.SIGTERM)
	if state, _ := p.wait(15 * time.Second); state.ExitCode() != 0 {
		t.Errorf("the last run ended with %v", state)
	}

	live := readFile(t, s.path("state/"+decisionsFile))
	var out, errOut bytes.Buffer
	if err := run(context.Background(), []string{"replay", "-c", s.config, "--journal", s.path("state/" + journalFile), "--out", s.path("found")}, &out, &errOut); err != nil {
		t.Fatalf("%v\n%s", err, errOut.String())
	}
	if replayed := readFile(t, s.path("found/"+decisionsFile)); replayed != live {
		t.Errorf("over three kills:\n%s\nreplayed:\n%s", live, replayed)
	}
	for _, file := range []string{decisionsFile, ledgerFile} {
		count := map[string]int{}
		for _, l := range readLines(t, s.path("state/"+file)) {
			if l.ID != "" && l.Again == 0 {
				count[l.Event+" "+l.ID]++
			}
		}
		if len(count) < len(attackers) {
			t.Errorf("%s: %d decisions about %d attackers", file, len(count), len(attackers))
		}
		for what, n := range count {
			if n != 1 {
				t.Errorf("%s: %s stands there %d times", file, what, n)
			}
		}
	}
	key, err := event.LoadKey(s.path("key"))
	if err != nil {
		t.Fatal(err)
	}
	if lines, err := emit.VerifyLedger(s.path("state"), key); err != nil || lines < len(attackers) {
		t.Errorf("the ledger has %d lines, %v", lines, err)
	}
	t.Logf("%d attackers, three kills: the decisions are those of a replay, no line twice", len(attackers))
}
