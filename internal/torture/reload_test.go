package torture

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/testkit"
)

// changing is a rule that is another one with each reload.
const changing = `id: more.changing
version: %d
title: A rule that changes
severity: info
key: ip
where: kind == "product"
features:
  n: count("%s")
  different: distinct("10m", item)
when: n >= %d
then: {alert: ip, for: 10s}
stage: alert
`

// Rules are reloaded again and again under load. No event is lost: those rules
// that stay decide what they must. A set that is wrong changes nothing.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	w := newWorld(t)
	s := w.fileSources(0)
	w.configure(s)
	w.begin(9, 1000, s)
	w.reloads(often(t, "WEIR_RELOADS", 11))
}

// The same over a topic: a life that ends gives its partitions back, the next
// begins to read them where that one stopped.
func TestReloadsUnderLoadOverATopicLoseNothing(t *testing.T) {
	const partitions = 4
	w := newWorld(t)
	s := topicSources(t, embedded(t, partitions), partitions)
	w.configure(s)
	w.begin(10, 1000, s)
	w.reloads(often(t, "WEIR_RELOADS", 5))
}

// reloads starts weir over a log that is being written and has it reload n times
// rules that differ, and for each ten of them a set that is invalid.
func (w *world) reloads(n int) {
	t := w.t
	t.Helper()
	if err := os.Mkdir(w.path("rules/more"), 0o700); err != nil {
		t.Fatal(err)
	}
	version := 0
	change := func() {
		version++
		w.write("rules/more/changing.yaml", fmt.Sprintf(changing, version, []string{"1m", "1h"}[version%2], 2+version%3))
		// Every other set has one rule more.
		if other := w.path("rules/more/other.yaml"); version%2 == 0 {
			w.write("rules/more/other.yaml", strings.Replace(fmt.Sprintf(changing, version, "24h", 5), "more.changing", "more.other", 1))
		} else if err := os.Remove(other); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	change()
	w.start()
	w.resumed(time.Time{})
	refused := 0
	var slowest time.Duration
	for i := range n {
		time.Sleep(200 * time.Millisecond)
		if i%10 == 4 {
			refused++
			w.refusesInvalid()
		}
		change()
		begun := time.Now()
		out, code, err := command("reload", "-c", w.path("weir.yaml"))
		slowest = max(slowest, time.Since(begun))
		if err != nil || code != 0 || !strings.Contains(out, "more.changing") {
			t.Fatalf("reload %d ended with %d, %v, must be 0 and name the rule that changed:\n%s", i, code, err, out)
		}
		if version%2 == 0 && !strings.Contains(out, "more.other") {
			t.Errorf("reload %d does not name the rule that is new:\n%s", i, out)
		}
	}
	last := w.settle()
	right, shipped := w.check(last)
	testkit.Figure(t, "%d reloads under load, and %d of invalid rules, which were refused; the slowest took %.2f s; %d requests, %d lines of the rules that stayed exactly as foreseen, they and %d others as replayed",
		n, refused, slowest.Seconds(), w.traffic.count(), right, shipped)
}

// refusesInvalid demands that a set of rules that is wrong is refused, that it
// is said where, and that the old ones go on.
func (w *world) refusesInvalid() {
	w.t.Helper()
	const name = "rules/more/changing.yaml"
	before, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(name, strings.Replace(string(before), "when: n >=", "when: m >=", 1))
	out, code, err := command("reload", "-c", w.path("weir.yaml"))
	if err != nil || code != 1 || !strings.Contains(out, "more/changing.yaml:") || !strings.Contains(out, "unknown name m") {
		w.t.Errorf("a reload of invalid rules ended with %d, %v, must be 1 and say where they are wrong:\n%s", code, err, out)
	}
	decided := newest(w.state())
	until(w.t, 10*time.Second, "the old rules go on", func() bool { return w.proc.alive() && newest(w.state()).After(decided) })
	w.write(name, string(before))
}
