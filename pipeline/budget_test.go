package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/rulesets"
	"weir/state"
)

// alone names the environment variable that has this test program do one run by
// itself: what other tests hold is then no part of its memory.
const alone = "WEIR_TEST_ALONE"

// flooding is what a run by itself is told.
type flooding struct {
	Minutes, PerMinute, Attackers, Calm int
	Memory, Accounted                   int64
	Dir, Profile                        string
}

// drowned is what a run by itself says.
type drowned struct {
	Near, Far, Wrong int
	Anonymous        int64 // bytes of memory, at most
	Degraded         int   // units that still turn keys away at the end
	WasDegraded      bool
	Stored           bool // keys had to leave memory
	Shed             rules.Shed
	Keys             int64
	Seconds          float64
}

func TestAFloodOfNewKeysStaysWithinItsMemoryAndHidesNobody(t *testing.T) {
	if text := os.Getenv(alone); text != "" {
		floodAlone(t, text)
		return
	}
	const minutes = 6
	for _, c := range []struct {
		name string
		of   flooding
	}{
		{"a disk with room", flooding{Minutes: minutes, PerMinute: 1_000_000, Attackers: 1000, Memory: 512 << 20, Accounted: 4 << 30, Calm: 15}},
		{"a small disk", flooding{Minutes: minutes / 2, PerMinute: 1_000_000, Attackers: 1000, Memory: 512 << 20, Accounted: 512 << 20, Calm: 15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.of.Dir = t.TempDir()
			d := drown(t, c.of)
			n := float64(c.of.Attackers)
			testkit.Figure(t, "%d new addresses a minute for %d minutes, memory %d MiB: %.0f events/s, %d MiB anonymous at most, %d keys, shed %+v, found %.1f %% of the near and %.1f %% of the far attackers",
				c.of.PerMinute, c.of.Minutes, c.of.Memory>>20, float64(c.of.PerMinute*c.of.Minutes)/d.Seconds, d.Anonymous>>20, d.Keys, d.Shed, 100*float64(d.Near)/n, 100*float64(d.Far)/n)
			if !testkit.Race && d.Anonymous > c.of.Memory {
				t.Errorf("%d MiB of memory, must be at most %d", d.Anonymous>>20, c.of.Memory>>20)
			}
			if float64(d.Near) < 0.9*n {
				t.Errorf("%d of %.0f attackers at one to two times the threshold, must be at least 90 %%", d.Near, n)
			}
			if float64(d.Far) < 0.99*n {
				t.Errorf("%d of %.0f attackers at twice the threshold and more, must be at least 99 %%", d.Far, n)
			}
			if d.Wrong > 0 {
				t.Errorf("%d honest addresses blocked", d.Wrong)
			}
			if d.Shed.Keys+d.Shed.TurnedAway == 0 {
				t.Error("nothing was shed and nobody turned away, so this test shows nothing")
			}
			if d.Degraded > 0 {
				t.Errorf("%d units still turn keys away, %d minutes after the flood", d.Degraded, c.of.Calm)
			}
		})
	}
}

// drown has this program run a flood by itself.
func drown(t *testing.T, f flooding) (d drowned) {
	t.Helper()
	order, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAFloodOfNewKeysStaysWithinItsMemoryAndHidesNobody$", "-test.v")
	cmd.Env = append(os.Environ(), alone+"="+string(order))
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	_, answer, ok := strings.Cut(string(text), alone+":")
	if !ok {
		t.Fatalf("no answer:\n%s", text)
	}
	answer, _, _ = strings.Cut(answer, "\n")
	if err := json.Unmarshal([]byte(answer), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// floodAlone runs a flood and says what came of it.
func floodAlone(t *testing.T, order string) {
	var f flooding
	if err := json.Unmarshal([]byte(order), &f); err != nil {
		t.Fatal(err)
	}
	var truth *testkit.CrowdTruth
	opt := testkit.CrowdOptions{
		Seed: 7, Minutes: f.Minutes, PerMinute: f.PerMinute, Attackers: f.Attackers, Threshold: 20, Within: 9 * time.Minute, Forgetful: f.Attackers, Calm: f.Calm,
	}
	src := testkit.Generate("flood", func(w io.Writer) (err error) {
		truth, err = testkit.WriteCrowd(w, opt)
		return err
	})
	debug.SetMemoryLimit(f.Memory / 100 * 90)
	var d drowned
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			anon := anonymous(t)
			if f.Profile != "" && anon > d.Anonymous+d.Anonymous/20 {
				profile(t, f.Profile)
			}
			d.Anonymous = max(d.Anonymous, anon)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	found := map[string]string{} // what an address gets
	began := time.Now()
	cfg := shippedConfig(t, src, "combined")
	cfg.Memory, cfg.Accounted = f.Memory, f.Accounted
	cfg.Spill = func() (*state.Store, error) {
		d.Stored = true
		return state.Open(t.Context(), pipeline.SpillConfig(f.Dir, 64, f.Memory))
	}
	cfg.Emit = func(ds []event.Decision) error {
		for i := range ds {
			if address := targetOf(&ds[i], "ip"); ds[i].Step == event.New && address != "" && found[address] != "block" {
				found[address] = ds[i].Would.String()
			}
		}
		return nil
	}
	cfg.Inspect = func(st *rules.State, _ int64) { d.Degraded = st.Totals().Degraded }
	sum, err := pipeline.Run(context.Background(), cfg)
	d.Seconds = time.Since(began).Seconds()
	close(stop)
	<-watched
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if sum.Events != int64(truth.Lines) {
		t.Fatalf("%d events of %d", sum.Events, truth.Lines)
	}
	d.Shed, d.Keys = sum.Shed, sum.Keys
	for address, action := range found {
		switch {
		case truth.Near[address]:
			d.Near++
		case truth.Far[address]:
			d.Far++
		case action == "block":
			d.Wrong++
		}
	}
	answer, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s:%s\n", alone, answer)
}

// targetOf returns what a decision's target says of a field.
func targetOf(d *event.Decision, field string) string {
	for _, v := range d.Target {
		if v.Field == field {
			return v.Text
		}
	}
	return ""
}

// shippedConfig runs the rules that ship over a source.
func shippedConfig(t *testing.T, src ingest.Source, format string) pipeline.Config {
	t.Helper()
	key := event.FixedKey()
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := rules.NewPlan(rs, key, rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tables, err := enrich.New(enrich.Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	decode, err := ingest.New(ingest.Config{Format: format, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	s := pipeline.Source{Source: src, Decode: decode, Disorder: 2 * time.Second, MaxLateness: time.Hour}
	s.Enrich.Reads = plan.Reads
	return pipeline.Config{Sources: []pipeline.Source{s}, Enrich: tables, Plan: plan, Ceiling: event.Enforce}
}

// anonymous returns how much memory this process has that is no file's.
func anonymous(t *testing.T) int64 { return ofStatus(t, "RssAnon:") << 10 }

// ofStatus returns a number of what the kernel says about this process.
func ofStatus(t *testing.T, name string) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Error(err)
		return 0
	}
	_, after, _ := bytes.Cut(b, []byte(name))
	fields := bytes.Fields(after[:min(len(after), 64)])
	if len(fields) == 0 {
		t.Errorf("/proc/self/status has no %s", name)
		return 0
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		t.Error(err)
	}
	return n
}

func profile(t *testing.T, path string) {
	runtime.GC()
	f, err := os.Create(path)
	if err == nil {
		err = pprof.WriteHeapProfile(f)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Error(err)
	}
}
