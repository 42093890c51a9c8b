package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite golden files")

// digest is of all lines and their labels.
func digest(t testing.TB, s *Stream) string {
	t.Helper()
	h := sha256.New()
	lines := 0
	for line, ok := s.Next(); ok; line, ok = s.Next() {
		h.Write(line.Text)
		h.Write([]byte("\n" + s.labels[line.Label].Name + "\n"))
		lines++
	}
	if lines < 100 {
		t.Fatalf("%d lines", lines)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestSameSeedMakesTheSameBytesOnAnyMachine(t *testing.T) {
	of := func(seed uint64) string {
		return digest(t, begun(t, load(t, "everything"), Options{Seed: seed, Scale: 0.0005}))
	}
	first := of(1)
	if again := of(1); again != first {
		t.Error("seed 1 makes another log the second time")
	}
	if other := of(2); other == first {
		t.Error("seed 2 makes the log of seed 1")
	}
	const golden = "testdata/everything.sha256"
	if *update {
		if err := os.WriteFile(golden, []byte(first+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(want)) != first {
		t.Errorf("the log of seed 1 is %s, must be %s (-update, if it was meant to change)", first, want)
	}
}

func TestPopulationsDoNotMoveEachOther(t *testing.T) {
	texts := func(sets ...string) (with, rare []string) {
		s := begun(t, load(t, "stuffing", sets...), Options{Seed: 5, Scale: 0.004})
		for line, ok := s.Next(); ok; line, ok = s.Next() {
			switch name := s.labels[line.Label].Name; name {
			case "honest/rare":
				rare = append(rare, string(line.Text))
			default:
				with = append(with, name+" "+string(line.Text))
			}
		}
		return with, rare
	}
	with, rare := texts()
	without, none := texts("honest.rare=null")
	if len(rare) == 0 || len(none) != 0 {
		t.Fatalf("%d and %d lines of rare browsers", len(rare), len(none))
	}
	if !slices.Equal(with, without) {
		t.Errorf("%d lines of others beside rare browsers, %d without them, or other ones", len(with), len(without))
	}
}

func TestLinesComeInTheOrderOfTimeButForTheLate(t *testing.T) {
	s := begun(t, load(t, "recon"), Options{Seed: 1, Scale: 0.01})
	var last time.Time
	late, lines, behindOthers := 0, 0, 0
	for line, ok := s.Next(); ok; line, ok = s.Next() {
		lines++
		if s.labels[line.Label].Name == "honest/late" {
			late++
			behind := last.Sub(line.Time)
			if behind > 11*time.Minute {
				t.Fatalf("a line is %v late", behind)
			}
			if behind > 30*time.Second {
				behindOthers++
			}
			continue
		}
		if line.Time.Before(last) {
			t.Fatalf("%s: %v after %v", s.labels[line.Label].Name, line.Time, last)
		}
		last = line.Time
	}
	if late == 0 || late > lines/10 || behindOthers == 0 {
		t.Errorf("%d of %d lines are late, %d of them more than 30 s", late, lines, behindOthers)
	}
}

func TestMemoryDependsOnWhoIsThereNotOnHowLongTheLogIs(t *testing.T) {
	peak := func(sets ...string) (queue, lines int) {
		s := begun(t, load(t, "week_tool", sets...), Options{Seed: 1, Scale: 0.01})
		for _, ok := s.Next(); ok; _, ok = s.Next() {
			lines++
			queue = max(queue, len(s.queue)+len(s.idle)+len(s.errands))
		}
		return queue, lines
	}
	short, few := peak("days=4", "campaigns.week_tool.phases.week.addresses=10000")
	long, many := peak("days=9", "campaigns.week_tool.phases.week.addresses=1000000")
	if many < 2*few {
		t.Fatalf("%d and %d lines: the second log must be far longer", few, many)
	}
	if long > short*3/2 || short > 4000 {
		t.Errorf("%d at once in 4 days, %d in 9 days with a hundred times the addresses", short, long)
	}
}

func TestTruthCountsWhatIsInTheLog(t *testing.T) {
	lines, s := play(t, load(t, "everything"), Options{Seed: 3, Scale: 0.0006})
	labels := s.Labels()
	if len(labels) < 40 {
		t.Fatalf("%d labels", len(labels))
	}
	for _, l := range labels {
		if l.Name == "honest/broken" {
			continue
		}
		some := only(t, lines, l.Name)
		addresses := counted(some, func(l *logLine) string {
			a, err := netip.ParseAddr(l.Addr)
			if err != nil {
				t.Fatal(err)
			}
			if a.Is6() {
				p, _ := a.Prefix(64)
				return p.String()
			}
			return l.Addr
		})
		accounts := counted(some, byUser)
		if int64(len(some)) != l.Requests || int64(len(addresses)) != l.Addresses || int64(len(accounts)) != l.Accounts {
			t.Errorf("%s: truth says %d requests, %d addresses, %d accounts; the log has %d, %d, %d",
				l.Name, l.Requests, l.Addresses, l.Accounts, len(some), len(addresses), len(accounts))
		}
		if l.Attack != strings.HasPrefix(l.Name, "attack/") || l.Attack && l.Name != "attack/"+l.Campaign+"/"+l.Phase || l.Title == "" {
			t.Errorf("%+v: label and campaign do not fit", l)
		}
		if last := some[len(some)-1].At; l.Name != "honest/late" && (!l.From.Equal(some[0].At) || !l.Until.Equal(last)) {
			t.Errorf("%s: from %v to %v, the log says %v to %v", l.Name, l.From, l.Until, some[0].At, last)
		}
	}
}

func TestScaleChangesSizesAndNotDays(t *testing.T) {
	size := func(scale float64) (requests, addresses int64, span time.Duration) {
		s := begun(t, load(t, "stuffing"), Options{Seed: 1, Scale: scale})
		for _, ok := s.Next(); ok; _, ok = s.Next() {
		}
		for _, l := range s.Labels() {
			if l.Attack {
				return l.Requests, l.Addresses, l.Until.Sub(l.From)
			}
		}
		t.Fatal("no attack")
		return 0, 0, 0
	}
	requests, addresses, span := size(0.02)
	within(t, "requests", float64(requests), 29_000, 31_000)
	within(t, "addresses", float64(addresses), 76, 76)
	within(t, "hours", span.Hours(), 4.9, 5.01)
	requests, addresses, span = size(0.005)
	within(t, "requests", float64(requests), 7_200, 7_800)
	within(t, "addresses", float64(addresses), 19, 19)
	within(t, "hours", span.Hours(), 4.9, 5.01)
}

func TestVariantsLackWhatTheyAreNamedFor(t *testing.T) {
	for _, variant := range Variants[:3] {
		lines, _ := play(t, load(t, "stuffing"), Options{Seed: 1, Scale: 0.001, Variant: variant})
		has := map[string]int{
			"without-ja4":         len(counted(lines, byJA4)),
			"without-credentials": len(counted(lines, byUser)),
			"without-sessions":    len(counted(lines, bySession)),
		}
		for what, n := range has {
			if (n == 0) != (what == variant) {
				t.Errorf("%s: %d values of what %s lacks", variant, n, what)
			}
		}
	}
	full := begun(t, load(t, "stuffing"), Options{Seed: 1, Scale: 0.001})
	plain := begun(t, load(t, "stuffing"), Options{Seed: 1, Scale: 0.001, Variant: "combined"})
	lines := 0
	for a, ok := full.Next(); ok; a, ok = full.Next() {
		b, ok := plain.Next()
		if !ok || a.Label != b.Label || !a.Time.Equal(b.Time) {
			t.Fatal("the plain log has other requests")
		}
		if strings.HasPrefix(string(b.Text), "{") && full.labels[a.Label].Name != "honest/broken" {
			t.Fatalf("%s is no combined line", b.Text)
		}
		lines++
	}
	if _, more := plain.Next(); more || lines == 0 {
		t.Error("the plain log has more lines, or none")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	sc := load(t, "quiet")
	for _, o := range []Options{
		{Scale: -1}, {Scale: 1e9}, {Variant: "without-everything"}, {Format: "w3c"},
		{Format: FormatCombined, Variant: "without-ja4"}, {Format: FormatJSON, Variant: "combined"},
	} {
		if _, err := NewStream(sc, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
