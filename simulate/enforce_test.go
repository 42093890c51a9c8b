package simulate

import (
	"strings"
	"testing"

	"weir/event"
)

// door answers requests as a test says.
type door struct {
	t      testing.TB
	answer func(l *logLine) event.Action
	asked  int
}

func (d *door) Answer(r *Request) event.Action {
	d.asked++
	l := logLine{Label: r.Label, At: r.Time}
	l.parse(d.t, string(r.Line))
	return d.answer(&l)
}

func blockJA4(t testing.TB, ja4 string) *door {
	return &door{t: t, answer: func(l *logLine) event.Action {
		if l.JA4 == ja4 {
			return event.Block
		}
		return event.NoAction
	}}
}

func TestStoppedRequestsAreWrittenAsRefused(t *testing.T) {
	tool := only(t, attackOf(t, "stuffing", 0.001), "attack/*")[0].JA4
	d := blockJA4(t, tool)
	lines, s := play(t, load(t, "stuffing"), Options{Seed: 9, Scale: 0.001, Enforcer: d})
	refused := 0
	for _, l := range lines {
		if (l.Refused == "block") != (l.JA4 == tool) || l.Refused != "" && l.Status != 403 {
			t.Fatalf("%s: %q with %d", l.JA4, l.Refused, l.Status)
		}
		if l.Refused != "" {
			refused++
		}
	}
	if attack := len(only(t, lines, "attack/*")); refused != attack {
		t.Errorf("%d refused of %d of the attack", refused, attack)
	}
	asked := int64(0)
	for _, l := range s.Labels() {
		if l.Name != "honest/broken" {
			asked += l.Requests
		}
	}
	if int64(d.asked) != asked {
		t.Errorf("asked %d times for %d requests", d.asked, asked)
	}
}

func TestAttackersThatReactChangeWhatIsStopped(t *testing.T) {
	for what, by := range map[string]func(*logLine) string{
		"fingerprint": byJA4,
		"network": func(l *logLine) string {
			return map[bool]string{true: "clouds", false: "elsewhere"}[groupHas("clouds", l.Addr)]
		},
		"addresses": func(l *logLine) string { return l.Addr[:strings.LastIndexByte(l.Addr, '.')] },
	} {
		sets := []string{"knobs.honest=0.05", "campaigns.stuffing.phases.stuffing.adapt.change=[" + what + "]"}
		values := func(adaptive bool, e Enforcer) map[string]int {
			lines, _ := play(t, load(t, "stuffing", sets...), Options{Seed: 9, Scale: 0.002, Adaptive: adaptive, Enforcer: e})
			return counted(only(t, lines, "attack/*"), by)
		}
		all := func() *door {
			return &door{t: t, answer: func(l *logLine) event.Action {
				return map[bool]event.Action{true: event.Block, false: event.NoAction}[strings.HasPrefix(l.Label, "attack/")]
			}}
		}
		calm, stubborn, reacting := values(true, nil), values(false, all()), values(true, all())
		if len(calm) != len(stubborn) || len(reacting) <= len(calm) {
			t.Errorf("%s: %d values where nobody is stopped, %d of who does not react, %d of who does", what, len(calm), len(stubborn), len(reacting))
		}
	}
}

func TestAttackerThatSlowsDownSendsLess(t *testing.T) {
	count := func(e Enforcer) int {
		lines, _ := play(t, load(t, "stuffing", "knobs.honest=0.05", "campaigns.stuffing.phases.stuffing.adapt.change=[pace]"),
			Options{Seed: 9, Scale: 0.002, Adaptive: true, Enforcer: e})
		return len(only(t, lines, "attack/*"))
	}
	free, stopped := count(nil), count(&door{t: t, answer: func(*logLine) event.Action { return event.Limit }})
	if stopped*2 > free {
		t.Errorf("%d requests when stopped, %d when not", stopped, free)
	}
}

func TestTryEndsWhereItIsStopped(t *testing.T) {
	d := &door{t: t, answer: func(l *logLine) event.Action {
		if strings.HasPrefix(l.Label, "attack/") && l.Method == "GET" {
			return event.Block
		}
		return event.NoAction
	}}
	lines, _ := play(t, load(t, "fake_accounts", "knobs.honest=0.05"), Options{Seed: 9, Scale: 0.002, Enforcer: d})
	for _, l := range only(t, lines, "attack/*") {
		if l.Method != "GET" || l.Refused != "block" {
			t.Fatalf("%s %s goes on behind a form that was refused", l.Method, l.URI)
		}
	}
}

func TestLogIsTheSameForTheSameAnswers(t *testing.T) {
	of := func() string {
		n := 0
		return digest(t, begun(t, load(t, "stuffing"), Options{Seed: 9, Scale: 0.001, Adaptive: true, Enforcer: &door{t: t, answer: func(*logLine) event.Action {
			if n++; n%3 == 0 {
				return event.Block
			}
			return event.NoAction
		}}}))
	}
	if a, b := of(), of(); a != b {
		t.Error("two logs with the same answers differ")
	}
}

func TestPeopleSolveAChallengeAndProgramsDoNot(t *testing.T) {
	d := &door{t: t, answer: func(l *logLine) event.Action {
		if l.Method == "POST" && strings.Contains(l.URI, "login") {
			return event.Challenge
		}
		return event.NoAction
	}}
	lines, _ := play(t, load(t, "recon"), Options{Seed: 9, Scale: 0.004, Enforcer: d})
	passed := func(label string) float64 {
		tries := logins(only(t, lines, label))
		in := 0
		for _, l := range tries {
			if l.Refused == "" {
				in++
			}
		}
		return float64(in) / float64(len(tries))
	}
	within(t, "share of people's requests that pass", passed("honest/homes"), 0.25, 0.6)
	within(t, "share of the attack's", passed("attack/*"), 0, 0)
}

func TestWhoIsDeceivedChangesNothing(t *testing.T) {
	sets := []string{"knobs.honest=0.05", "campaigns.stuffing.phases.stuffing.adapt.change=[fingerprint]"}
	of := func(with event.Action) map[string]int {
		lines, _ := play(t, load(t, "stuffing", sets...), Options{Seed: 9, Scale: 0.002, Adaptive: true, Enforcer: &door{t: t, answer: func(l *logLine) event.Action {
			return map[bool]event.Action{true: with, false: event.NoAction}[strings.HasPrefix(l.Label, "attack/")]
		}}})
		return counted(only(t, lines, "attack/*"), byJA4)
	}
	if deceived, blocked := of(event.Deceive), of(event.Block); len(deceived) != 1 || len(blocked) < 2 {
		t.Errorf("%d fingerprints of who is deceived, %d of who is blocked; want 1 and more", len(deceived), len(blocked))
	}
}
