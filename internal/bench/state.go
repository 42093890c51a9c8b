package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"weir/pipeline"
)

// What checkpoints may cost.
const (
	mostCost        = 0.10
	mostStall       = 50 * time.Millisecond
	leastCuts       = 5
	leastStalls     = 2 // while waits are measured
	checkpointEvery = 10 * time.Second
	warmUp          = time.Minute
	endless         = 1 << 40 // lines
)

// costing is what of checkpoints' cost is measured.
type costing struct {
	seconds int
	pace    float64 // 0: half of the speed that is found
	profile string  // file; empty: none
}

// checkpoints measures what writing the state costs: the same lines with and
// without a store, side by side, for long enough that five checkpoints are among
// them; then at half of the speed of a whole machine how long events wait.
//
// With a pace only the waits are measured.
func checkpoints(out io.Writer, dir string, lines int, densities string, c costing) error {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "load %.4s; checkpoints every %v into a store on disk against none, %v where a run has half of the processors\n", load, checkpointEvery, sideCheckpoint)
	var faults []error
	for density := range strings.SplitSeq(densities, ",") {
		var d float64
		if _, err := fmt.Sscan(density, &d); err != nil {
			return fmt.Errorf("-densities %s: %w", density, err)
		}
		path := filepath.Join(dir, "state-"+density+".log")
		src, err := openLoop(path, lines, d)
		if err != nil {
			return err
		}
		if c.pace > 0 {
			err = stall(context.Background(), out, dir, src, density, c)
		} else {
			err = checkpointsAt(out, dir, path, src, density, c)
		}
		faults = append(faults, err)
		if err := errors.Join(src.close(), os.Remove(path)); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

func checkpointsAt(out io.Writer, dir, path string, src *loop, density string, c costing) error {
	ctx := context.Background()
	fmt.Fprintf(out, "\n%s events a second of event time, %s lines over and over\n", density, thousands(len(src.ends)))
	// Half of its speed is the pace at which waits are measured. It also has the machine
	// take the memory and the disk that the others use again.
	warm, err := live{src: src.again(endless, 0, warmUp), dir: dir, checkpoint: checkpointEvery}.run(ctx)
	if err != nil {
		return err
	}
	full := warm.speed()
	fmt.Fprintf(out, "  all processors: %s events/s with checkpoints\n", thousands(int(full)))
	debug.FreeOSMemory() // the sides need it
	with, without, err := beside(ctx, dir, path, c.seconds)
	if err != nil {
		return err
	}
	speed, cpu := 1-with.Speed/without.Speed, 1-without.CPU/with.CPU
	fmt.Fprintf(out, "  side by side, %d of the processors each, for %d s: with %s events/s, %.2f µs of processor an event, %s keys, %d checkpoints, which took %s\n",
		half(), c.seconds, thousands(int(with.Speed)), with.CPU, thousands(int(with.Keys)), len(with.Cuts), strings.Join(with.Cuts, ", "))
	fmt.Fprintf(out, "    without %s events/s, %.2f µs: checkpoints cost %.1f %% of the speed, and as much processor time as %.1f %% of it (limit of both %.0f %%)\n",
		thousands(int(without.Speed)), without.CPU, 100*speed, 100*cpu, 100*mostCost)
	var faults []error
	if len(with.Cuts) < leastCuts {
		faults = append(faults, fmt.Errorf("at %s: %d checkpoints in %d s, must be at least %d", density, len(with.Cuts), c.seconds, leastCuts))
	}
	if cost := max(speed, cpu); cost > mostCost {
		faults = append(faults, fmt.Errorf("at %s: checkpoints cost %.1f %%, must be at most %.0f %%", density, 100*cost, 100*mostCost))
	}
	faults = append(faults, stall(ctx, out, dir, src, density, costing{seconds: 60, pace: full / 2}))
	return errors.Join(faults...)
}

// stall measures, at a pace, how long a second's tick waits behind the line that
// closes it, and a line until it is mapped, with and without checkpoints.
func stall(ctx context.Context, out io.Writer, dir string, src *loop, density string, c costing) error {
	pace := c.pace
	lines := int64(pace * float64(c.seconds))
	var found [2]lived
	for i, dir := range []string{"", dir} {
		l := live{src: src.again(lines, pace, 0), dir: dir, checkpoint: checkpointEvery}
		if dir != "" {
			l.profile = c.profile
		}
		r, err := l.run(ctx)
		if err != nil {
			return err
		}
		if len(r.waits) == 0 {
			return errNoProbe
		}
		found[i] = r
		fmt.Fprintf(out, "  at %s events/s %s: ticks wait %.1f ms at the median, %.1f ms at p99, %.1f ms at p99.9, %.1f ms at most (of %d); lines until they are mapped %.1f ms at p99.9; %.2f µs of processor an event\n",
			thousands(int(pace)), []string{"without", "with   "}[i], ms(r.waits, 0.5), ms(r.waits, 0.99), ms(r.waits, 0.999), ms(r.waits, 1), len(r.waits), ms(r.maps, 0.999),
			r.used.Seconds()/float64(lines)*1e6)
	}
	if n := len(found[1].cuts); n < leastStalls {
		return fmt.Errorf("at %s: %d checkpoints while waits were measured, must be at least %d", density, n, leastStalls)
	}
	more := percentile(found[1].waits, 0.999) - percentile(found[0].waits, 0.999)
	lined := percentile(found[1].maps, 0.999) - percentile(found[0].maps, 0.999)
	longest := slices.MaxFunc(found[1].cuts, func(a, b pipeline.CheckpointStatus) int { return int(a.Stall - b.Stall) }).Stall
	fmt.Fprintf(out, "  stall: %.1f ms more at p99.9 until a tick has run, %.1f ms until a line is mapped (limit %v); the longest slice of a checkpoint %.1f ms\n",
		float64(more.Microseconds())/1000, float64(lined.Microseconds())/1000, mostStall, float64(longest.Microseconds())/1000)
	if max(more, lined) > mostStall {
		return fmt.Errorf("at %s: checkpoints have events wait %v more at p99.9, must be at most %v", density, max(more, lined), mostStall)
	}
	return nil
}

func ms(all []wait, share float64) float64 {
	return float64(percentile(all, share).Microseconds()) / 1000
}
