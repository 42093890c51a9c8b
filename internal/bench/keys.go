package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/state"
	"weir/windows"
)

// What many keys may take on disk.
const (
	mostKeyBytes   = 500 // a key
	mostWritten    = 4.0 // bytes written for each of dirty keys, where one key in a hundred is dirty
	sparseCuts     = 40  // checkpoints of that kind: as many as have every page merged
	keysDays       = 7
	ticksADay      = 144
	cutsADay       = 4
	keysMemory     = 2 << 30 // of ten million keys, what stays in memory behind a checkpoint
	tenMillion     = 10_000_000
	mostTouchesDay = 24
)

// classes are what part of the keys is touched how often a day, evenly.
var classes = []struct {
	percent int
	touches int64
}{{70, 1}, {22, 10}, {7, 100}, {1, 1000}}

// keyed is many keys in units over a store, driven by hand: rows are folded,
// checkpoints taken and keys sent out of memory, without lines, mappers and
// rules, which would take hours for a week of ten million keys.
type keyed struct {
	out    io.Writer
	dir    string
	keys   int64
	days   int64
	most   int64 // touches of a key in a day
	memory int64 // of keys, that stay in it behind a checkpoint

	sample *rowSample
	store  *state.Store
	units  []*windows.Unit
	tick   int64
	rows   [][]windows.Row // by unit
	folded int64
	dirty  atomic.Int64 // bytes of dirty keys handed over in this checkpoint

	peak, anonymous, disk int64
	cuts                  []keyedCut
}

// keyedCut is what a checkpoint took.
type keyedCut struct {
	took           time.Duration
	dirty, written int64 // bytes
}

// manyKeys keeps many keys for a week, and fails where they take more than they may.
func manyKeys(out io.Writer, dir string, keys, days, most int64) (err error) {
	k := &keyed{out: out, dir: filepath.Join(dir, "keys"), keys: keys, days: days, most: most}
	k.memory = keysMemory / 1000 * k.keys / (tenMillion / 1000)
	defer func() { err = errors.Join(err, os.RemoveAll(k.dir)) }()
	f, err := k.run(context.Background())
	if err != nil {
		return err
	}
	return f.faults()
}

// keysFigures is what many keys take, in bytes.
type keysFigures struct {
	keys                           int64
	accounted, resident, directory int64 // behind the last checkpoint
	peak, anonymous                int64 // between checkpoints, and of the process, at most
	records, disk                  int64
	loaded, left                   uint64  // keys that came back from the store, and that left for it
	writtenRecords, written        float64 // for each byte of dirty keys
}

// faults says what is too much. What Badger's files take whatever is in them is
// no matter of the keys where there are few of them: of those only records are
// judged.
func (f keysFigures) faults() error {
	disk, written := f.disk, f.written
	if f.keys < million {
		disk, written = f.records, f.writtenRecords
	}
	var faults []error
	if per := disk / f.keys; per > mostKeyBytes {
		faults = append(faults, fmt.Errorf("%d bytes a key on disk, must be at most %d", per, mostKeyBytes))
	}
	if written > mostWritten {
		faults = append(faults, fmt.Errorf("%.1f bytes written for each of dirty keys at 1 %% dirty, must be at most %.0f", written, mostWritten))
	}
	return errors.Join(faults...)
}

func (k *keyed) run(ctx context.Context) (f keysFigures, err error) {
	if k.sample, err = newRowSample(ctx, k.dir+".sample", sampleScale); err != nil {
		return f, err
	}
	if k.store, err = storeOf(ctx, k.dir); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, k.store.Close()) }()
	k.rows = make([][]windows.Row, benchUnits)
	for i := range benchUnits {
		u := windows.NewUnit(k.sample.layout, 0)
		u.Attach(k.store.Unit(i))
		k.units = append(k.units, u)
	}
	k.tell()
	began := time.Now()
	const first = 1_772_755_200 // a midnight
	for n := int64(1); n <= k.days*ticksADay; n++ {
		k.tick = first + n*86400/ticksADay
		k.fold(n - 1)
		if n%(ticksADay/cutsADay) == 0 {
			if err := k.checkpoint(ctx); err != nil {
				return f, err
			}
		}
		if n%ticksADay == 0 {
			k.tellOfDay(n/ticksADay, time.Since(began))
		}
	}
	if err := k.sparse(ctx, &f); err != nil {
		return f, err
	}
	return f, k.figures(ctx, &f)
}

func (k *keyed) tell() {
	fmt.Fprintf(k.out, "%s keys of the rules that ship, each fed as one of a generated log that is touched about as often:\n", thousands(int(k.keys)))
	for i, c := range classes {
		fmt.Fprintf(k.out, "  %d %% touched %d times a day (%s)\n", c.percent, c.touches, k.sample.names[i])
	}
	fmt.Fprintf(k.out, "  %d days in ticks of %d minutes, a checkpoint each %d hours, behind which %d MiB of keys stay in memory\n",
		k.days, 1440/ticksADay, 24/cutsADay, k.memory>>20)
	for _, c := range classes {
		if c.touches > k.most {
			fmt.Fprintf(k.out, "  scaled down: those to be touched %d times a day are touched %d times; they have the same hours in them, but not the same minutes\n", c.touches, k.most)
		}
	}
}

// fold folds a tick, half of the units on each of two goroutines.
func (k *keyed) fold(n int64) {
	var folded atomic.Int64
	k.half(func(first, end int) error {
		for u := first; u < end; u++ {
			k.rows[u] = k.rows[u][:0]
		}
		from := int64(0)
		for i, c := range classes {
			size := k.keys * int64(c.percent) / 100
			touches := min(c.touches, k.most)
			for j := n * touches * size / ticksADay; j < (n+1)*touches*size/ticksADay; j++ {
				k.touch(i, uint64(from+j%size), uint64(j/size), first, end)
			}
			from += size
		}
		folded.Add(k.foldUnits(first, end))
		return nil
	})
	k.folded += folded.Load()
	k.measure()
}

// touch adds the row of a touch, if its key is of these units.
func (k *keyed) touch(class int, id, touch uint64, first, end int) {
	if r := k.sample.row(class, id, touch); int(r.Unit) >= first && int(r.Unit) < end {
		k.rows[r.Unit] = append(k.rows[r.Unit], r)
	}
}

func (k *keyed) foldUnits(first, end int) (rows int64) {
	from := []*windows.Deltas{&k.sample.deltas}
	for u := first; u < end; u++ {
		k.units[u].Expire((k.tick - 1) / 3600 * 3600)
		k.units[u].Fold(k.tick, k.rows[u], from)
		rows += int64(len(k.rows[u]))
	}
	return rows
}

// half does something with both halves of the units at once.
func (k *keyed) half(do func(first, end int) error) error {
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		all.Go(func() { errs[i] = do(i*benchUnits/2, (i+1)*benchUnits/2) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// measure notes how much memory is held.
func (k *keyed) measure() {
	var resident int64
	for _, u := range k.units {
		resident += u.Resident()
	}
	k.peak = max(k.peak, resident)
	k.anonymous = max(k.anonymous, anonymousRSS())
}

// checkpoint writes what is dirty, and has what memory has no room for leave.
func (k *keyed) checkpoint(ctx context.Context) error {
	began, written := time.Now(), k.store.Stats().Written
	k.dirty.Store(0)
	heads := make([][]byte, benchUnits)
	alive := make([]func(uint16, []byte) bool, benchUnits)
	for i, u := range k.units {
		u.Cut(true)
		heads[i], alive[i] = u.AppendHead(nil), u.Alive()
	}
	cp := k.store.Begin(func(unit int, table uint16, value []byte) bool { return alive[unit](table, value) })
	err := k.half(func(first, end int) error {
		for i := first; i < end; i++ {
			if err := k.encode(i, cp); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		cp.Abort()
		return err
	}
	if err := cp.Commit(ctx, state.Flip{Tick: k.tick, Units: heads}); err != nil {
		return err
	}
	took := time.Since(began)
	st := k.store.Stats()
	k.disk = st.Disk
	k.cuts = append(k.cuts, keyedCut{took, k.dirty.Load(), st.Written - written})
	return k.half(func(first, end int) error {
		var errs error
		for _, u := range k.units[first:end] {
			u.Settle(true)
			u.Evict(k.memory / benchUnits)
			errs = errors.Join(errs, u.Err())
		}
		return errs
	})
}

// encode hands over all that is pending of a unit.
func (k *keyed) encode(i int, cp *state.Checkpoint) error {
	to := windows.Sink{
		Whole: func(table uint16, pages int) error { return cp.Whole(i, table, pages) },
		Put: func(table uint16, page uint32, changes []byte) error {
			k.dirty.Add(int64(len(changes)))
			return cp.Put(i, table, page, changes)
		},
		Room: cp.Room,
	}
	for {
		done, err := k.units[i].Encode(to)
		if done || err != nil {
			return err
		}
		if !cp.Room() {
			time.Sleep(time.Millisecond)
		}
	}
}

func (k *keyed) tellOfDay(day int64, took time.Duration) {
	var keys, accounted, resident int64
	for _, u := range k.units {
		keys += int64(u.Len())
		accounted += u.Bytes()
		resident += u.Resident()
	}
	cuts := k.cuts[len(k.cuts)-cutsADay:]
	var dirty, written int64
	var longest time.Duration
	for _, c := range cuts {
		dirty, written, longest = dirty+c.dirty, written+c.written, max(longest, c.took)
	}
	fmt.Fprintf(k.out, "  day %d behind %.0f s: %s keys, accounted %d MiB, in memory %d MiB, on disk %d MiB; checkpoints %d MiB of dirty keys, %.1f times that written, the longest %.1f s\n",
		day, took.Seconds(), thousands(int(keys)), accounted>>20, resident>>20, k.disk>>20, dirty>>20, float64(written)/float64(dirty), longest.Seconds())
}

// sparse takes checkpoints at each of which another key in a hundred is dirty.
func (k *keyed) sparse(ctx context.Context, f *keysFigures) error {
	before, from := writtenBytes(), len(k.cuts)
	for round := range int64(sparseCuts) {
		k.tick += 10
		if err := k.half(func(first, end int) error {
			for u := first; u < end; u++ {
				k.rows[u] = k.rows[u][:0]
			}
			from := int64(0)
			for i, c := range classes {
				size := k.keys * int64(c.percent) / 100
				for id := from + round*37%100; id < from+size; id += 100 {
					k.touch(i, uint64(id), uint64(k.days*min(c.touches, k.most)+round), first, end)
				}
				from += size
			}
			k.foldUnits(first, end)
			return nil
		}); err != nil {
			return err
		}
		k.measure()
		if err := k.checkpoint(ctx); err != nil {
			return err
		}
	}
	var dirty, written int64
	var took []time.Duration
	for _, c := range k.cuts[from:] {
		dirty, written, took = dirty+c.dirty, written+c.written, append(took, c.took)
	}
	slices.Sort(took)
	f.writtenRecords = float64(written) / float64(dirty)
	f.written = float64(writtenBytes()-before) / float64(dirty)
	fmt.Fprintf(k.out, "  %d checkpoints with 1 %% of the keys dirty: %.1f bytes of records for each byte of dirty keys, %.1f with the store's logs and compactions (limit %.0f); %.2f s at the median, %.2f s at most\n",
		sparseCuts, f.writtenRecords, f.written, mostWritten, took[len(took)/2].Seconds(), took[len(took)-1].Seconds())
	return nil
}

// figures says what the keys take, and opens the store again to see that they
// are all there.
func (k *keyed) figures(ctx context.Context, f *keysFigures) error {
	for _, u := range k.units {
		f.keys += int64(u.Len())
		f.accounted += u.Bytes()
		f.resident += u.Resident()
		in, out := u.Moved()
		f.loaded, f.left = f.loaded+in, f.left+out
	}
	st := k.store.Stats()
	f.peak, f.anonymous, f.disk, f.directory, f.records = k.peak, k.anonymous, st.Disk, st.Memory, st.Bytes
	fmt.Fprintf(k.out, "  %s keys, %s rows folded, %s keys read back from the store: accounted %d bytes a key (%d MiB); in memory %d MiB, %d MiB at most between checkpoints, the store's directory %d MiB, the process %d MiB anonymous at most; on disk %d MiB, %d bytes a key, %d of them records (limit %d)\n",
		thousands(int(f.keys)), thousands(int(k.folded)), thousands(int(f.loaded)), f.accounted/f.keys, f.accounted>>20, f.resident>>20, f.peak>>20, f.directory>>20, f.anonymous>>20, f.disk>>20, f.disk/f.keys, f.records/f.keys, mostKeyBytes)
	if want := k.keys / 100 * 100; f.keys != want {
		return fmt.Errorf("%d keys at the end, must be %d", f.keys, want)
	}
	return k.reopen(ctx, f.keys)
}

func (k *keyed) reopen(ctx context.Context, keys int64) (err error) {
	if err := k.store.Close(); err != nil {
		return err
	}
	began := time.Now()
	if k.store, err = storeOf(ctx, k.dir); err != nil {
		return err
	}
	opened := time.Since(began)
	last, ok := k.store.Last()
	if !ok || k.store.Broken() != "" {
		return fmt.Errorf("the store was put aside: %s", k.store.Broken())
	}
	var found, resident atomic.Int64
	if err := k.half(func(first, end int) error {
		for i := first; i < end; i++ {
			u, err := windows.OpenUnit(k.sample.layout, 0, last.Units[i], k.store.Unit(i))
			if err == nil {
				err = u.Load(k.memory / benchUnits)
			}
			if err != nil {
				return err
			}
			found.Add(int64(u.Len()))
			resident.Add(u.Resident())
			k.units[i] = u
		}
		return nil
	}); err != nil {
		return err
	}
	if found.Load() != keys {
		return fmt.Errorf("%d keys behind a restart, must be %d", found.Load(), keys)
	}
	fmt.Fprintf(k.out, "  opened again in %.1f s, of it the store %.1f s; all keys counted, %d MiB of them in memory\n", time.Since(began).Seconds(), opened.Seconds(), resident.Load()>>20)
	return nil
}
