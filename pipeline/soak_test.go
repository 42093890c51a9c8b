package pipeline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// soaked is how a run by itself stood, again and again.
type soaked struct {
	Looks   []look
	Seconds float64
}

// look is how it stood behind so many events.
type look struct {
	Events, Anonymous       int64
	Live                    int64 // of the heap, behind the last collection, and what the runtime holds besides; without the directory
	Directory, Keys         int64 // what the store holds in memory to find its keys by, and how many there are
	Goroutines, Descriptors int
	Tables                  int   // descriptors of the store's tables, which are not in Descriptors
	Disk                    int64 // what the store has there
	Checkpoint              int64 // the tick of the last one of the temporary store; 0: there is no store yet
}

const (
	soakEvents = 1_200_000
	soakHours  = 50 // known is defined from the second day on
	soakMemory = 96 << 20
	soakUnits  = 16 // each has pages of its own that are not full
	soakLooks  = 200
	// What the process has besides state.memory's share of keys: the program, batches
	// under way, the store, and what the collector has not collected.
	soakHeap = 192 << 20

	// mostGrowth is of what is in use without the directory, from one half to the
	// next, some 420,000 events: a leak of 60 bytes an event is more. It moves by some
	// 8 MiB from run to run, and was 5 to 16 MiB more in the second half.
	mostGrowth      = 24 << 20
	mostDirectory   = 10 // bytes a key on disk
	mostGoroutines  = 20
	mostDescriptors = 20
	// The store's tables are as many as it is large, some that are being made, and those
	// that they replace, which stay open until nobody reads them any more.
	leastTable      = 2 << 20
	moreTables      = 80
	mostCheckpoints = soakLooks / 2
)

// Two days, with so little memory that keys leave it from early on.
func TestASliceOfAWeekLeavesMemoryGoroutinesAndDescriptorsAsTheyWere(t *testing.T) {
	if os.Getenv(alone) != "" {
		soakAlone(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestASliceOfAWeekLeavesMemoryGoroutinesAndDescriptorsAsTheyWere$", "-test.v")
	cmd.Env = append(os.Environ(), alone+"=week", "TMPDIR="+t.TempDir())
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	_, answer, _ := strings.Cut(string(text), alone+":")
	answer, _, _ = strings.Cut(answer, "\n")
	var s soaked
	if err := json.Unmarshal([]byte(answer), &s); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	// From when keys leave memory: until then there are more and more of them.
	stored := slices.IndexFunc(s.Looks, func(l look) bool { return l.Checkpoint > 0 })
	if stored < 0 || stored > len(s.Looks)/3 {
		t.Fatalf("%d looks, keys left memory at look %d, must within the first third, or this test shows little", len(s.Looks), stored)
	}
	looks := s.Looks[stored+len(s.Looks)*3/20:] // what is known and was seen fills in the first hours
	halves := [2][]look{looks[:len(looks)/2], looks[len(looks)/2:]}
	live, anon := func(l look) int64 { return l.Live }, func(l look) int64 { return l.Anonymous }
	early, late := leastOf(halves[0], live), leastOf(halves[1], live)
	goroutines := span(looks, func(l look) int { return l.Goroutines })
	descriptors := span(looks, func(l look) int { return l.Descriptors })
	checkpoints := map[int64]bool{}
	for _, l := range looks {
		checkpoints[l.Checkpoint] = true
	}
	testkit.Figure(t, "%d events over %d hours, memory %d MiB: %.0f events/s; behind %d events %d MiB in use besides the directory (%d anonymous) in the first half and %d (%d) in the second, goroutines move by %d, descriptors by %d besides the %d of a store of %d MiB, %d checkpoints",
		soakEvents, soakHours, soakMemory>>20, soakEvents/s.Seconds, looks[0].Events, early>>20, leastOf(halves[0], anon)>>20, late>>20, leastOf(halves[1], anon)>>20, goroutines, descriptors, looks[len(looks)-1].Tables, looks[len(looks)-1].Disk>>20, len(checkpoints))
	if late > early+mostGrowth {
		t.Errorf("%d MiB of memory in the first half, %d MiB in the second: must not grow by more than %d MiB", early>>20, late>>20, mostGrowth>>20)
	}
	// It grows with the keys on disk, of which state.disk says how many there may be.
	if l := looks[len(looks)-1]; l.Keys < soakEvents/4 || l.Directory > l.Keys*mostDirectory {
		t.Errorf("the directory of %d keys takes %d bytes, must be at most %d a key, of %d at least", l.Keys, l.Directory, mostDirectory, soakEvents/4)
	}
	if goroutines > mostGoroutines {
		t.Errorf("the number of goroutines moves by %d, must be at most %d", goroutines, mostGoroutines)
	}
	if descriptors > mostDescriptors {
		t.Errorf("the number of descriptors moves by %d, must be at most %d", descriptors, mostDescriptors)
	}
	for _, l := range looks {
		if most := moreTables + int(l.Disk/leastTable); l.Tables > most {
			t.Fatalf("%d tables of a store of %d MiB are open, must be at most %d", l.Tables, l.Disk>>20, most)
		}
	}
	if len(checkpoints) > mostCheckpoints {
		t.Errorf("%d of %d looks saw another checkpoint, must be at most %d: a store that only makes room is written when there is none", len(checkpoints), len(looks), mostCheckpoints)
	}
}

// leastOf is of memory, the least but a tenth: a checkpoint under way takes some
// tens of MiB for as long as it takes, and how many looks meet one is the machine's
// affair. What leaks is there between them, too.
func leastOf(looks []look, of func(look) int64) int64 {
	var all []int64
	for _, l := range looks {
		all = append(all, of(l))
	}
	slices.Sort(all)
	return all[len(all)/10]
}

// span is by how much a figure moves.
func span(looks []look, of func(look) int) int {
	least, most := of(looks[0]), of(looks[0])
	for _, l := range looks {
		least, most = min(least, of(l)), max(most, of(l))
	}
	return most - least
}

func soakAlone(t *testing.T) {
	src := &watched{t: t, Generated: testkit.Generate("week", func(w io.Writer) error {
		_, err := testkit.WriteLog(w, testkit.LogOptions{Seed: 5, Lines: soakEvents, Density: soakEvents / (soakHours * 3600.0), Format: testkit.NginxJSON})
		return err
	})}
	debug.SetMemoryLimit(soakHeap)
	cfg := shippedConfig(t, src, testkit.NginxJSON)
	cfg.Units, cfg.Memory, cfg.Accounted = soakUnits, soakMemory, 16*soakMemory
	cfg.Spill = func() (*state.Store, error) {
		store, err := state.Open(t.Context(), pipeline.SpillConfig(t.TempDir(), soakUnits, soakMemory))
		src.store.Store(store)
		return store, err
	}
	began := time.Now()
	sum, err := pipeline.Run(context.Background(), cfg)
	src.found.Seconds = time.Since(began).Seconds()
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if sum.Events != soakEvents || sum.Shed != (rules.Shed{}) {
		t.Fatalf("%d events of %d, shed %+v", sum.Events, soakEvents, sum.Shed)
	}
	answer, err := json.Marshal(src.found)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s:%s\n", alone, answer)
}

// watched is a generated source that looks at the process now and then.
type watched struct {
	*testkit.Generated
	t     *testing.T
	store atomic.Pointer[state.Store]
	read  int64
	found soaked
}

func (s *watched) Read(ctx context.Context, p int, most int, r *ingest.Records) error {
	before := r.Len()
	err := s.Generated.Read(ctx, p, most, r)
	was := s.read * soakLooks / soakEvents
	s.read += int64(r.Len() - before)
	if s.read*soakLooks/soakEvents == was || s.read == soakEvents {
		return err
	}
	fds, listErr := os.ReadDir("/proc/self/fd")
	if listErr != nil {
		s.t.Error(listErr)
	}
	use := pipeline.ProcessUsage()
	l := look{Events: s.read, Anonymous: anonymous(s.t), Live: use.Live + use.Besides, Goroutines: runtime.NumGoroutine()}
	for _, fd := range fds {
		switch name, err := os.Readlink("/proc/self/fd/" + fd.Name()); {
		case err != nil: // it was closed meanwhile, as the directory's own
		case strings.Contains(name, ".sst"):
			l.Tables++
		default:
			l.Descriptors++
		}
	}
	if store := s.store.Load(); store != nil {
		last, _ := store.Last()
		if len(last.Units)+len(last.Meta) > 0 {
			s.t.Errorf("a store that only makes room is given %d units and %d bytes besides its keys", len(last.Units), len(last.Meta))
		}
		stats := store.Stats()
		l.Checkpoint, l.Disk, l.Directory, l.Keys = last.Tick, stats.Disk, stats.Memory, stats.Keys
		l.Live -= l.Directory
	}
	s.found.Looks = append(s.found.Looks, l)
	return err
}
