// Command bench measures weir as a whole process on generated logs, beside
// what everybody has: wc -l and gawk counting by address.
//
//	go run ./internal/bench [-lines 3000000] [-weir bin/weir] [-dir DIR] [-kafka]
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"weir/internal/testkit"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// summary is what of summary.json is shown.
type summary struct {
	Events          int64                          `json:"events"`
	Seconds         float64                        `json:"seconds"`
	EventsPerSecond float64                        `json:"events_per_second"`
	PeakRSS         int64                          `json:"peak_rss_bytes"`
	Keys            int64                          `json:"keys"`
	StateBytes      int64                          `json:"state_bytes"`
	Allocs          float64                        `json:"allocs_per_event"`
	Degraded        bool                           `json:"degraded"`
	Shed            shed                           `json:"shed"`
	Decisions       map[string]struct{ New int64 } `json:"decisions"`
	Shapes          []struct {
		Key  string `json:"key"`
		Keys int    `json:"keys"`
		P50  int    `json:"p50"`
		P99  int    `json:"p99"`
	} `json:"shapes"`
}

// shed is what was given up for lack of room.
type shed struct {
	Keys, Contributions, Decisions int64
	TurnedAway                     int64 `json:"turned_away"`
}

func run(out io.Writer) (err error) {
	lines := flag.Int("lines", 3_000_000, "lines of each log")
	weir := flag.String("weir", "bin/weir", "the program to measure")
	dir := flag.String("dir", "", "where the logs are kept; empty: a temporary directory")
	minutes := flag.Int("flood", 0, "measure this many minutes of a million new addresses each, instead")
	memory := flag.String("memory", "192MiB", "state.memory of the flood")
	densities := flag.String("densities", "1000,100000", "events per second of event time")
	flooding := flag.Bool("budget", false, "measure floods with little memory, with attackers to be found in them, instead")
	floodMinutes := flag.Int("minutes", budgetMinutes, "minutes of event time of -budget's floods")
	caged := flag.Bool("caged", true, "put the floods into a memory cgroup")
	keeping := flag.Bool("state", false, "measure what writing the state costs, instead")
	seconds := flag.Int("seconds", 480, "how long -state runs with and without a store, or each of its runs at a -pace")
	part := flag.String("side", "", "of -state only one side, with or without, over the log behind the flags: what it starts itself")
	pace := flag.Float64("pace", 0, "of -state only how long ticks wait at so many events a second")
	profile := flag.String("profile", "", "where the processor profile of -state at a -pace, of its run with a store, of -soak or of -keys is written")
	soaking := flag.Bool("soak", false, "replay a week of a generated log, of -lines events, instead")
	archiving := flag.Bool("archive", false, "measure archives of events: of a generated log and of those named behind the flags, instead")
	keyed := flag.Bool("million", false, "measure a checkpoint and a restore of a million keys, instead")
	many := flag.Bool("keys", false, "keep -keysmillions million keys for a week of event time, instead")
	keysMillions := flag.Float64("keysmillions", tenMillion/1e6, "million keys of -keys")
	touches := flag.Int64("touches", mostTouchesDay, "how often a day a key of -keys is touched at most: 1000 is all, and takes much longer")
	kafka := flag.Bool("kafka", false, "measure a topic read from an embedded broker, instead")
	flag.Parse()
	if *dir == "" {
		if *dir, err = os.MkdirTemp("", "weir-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(*dir)) }()
	}
	if *flooding {
		return budget(out, *weir, *dir, *floodMinutes, *caged)
	}
	if *part != "" {
		return side(out, *dir, flag.Arg(0), *part, *seconds)
	}
	if *keeping {
		return checkpoints(out, *dir, *lines, *densities, costing{seconds: *seconds, pace: *pace, profile: *profile})
	}
	if *soaking {
		return profiled(*profile, func() error { return soak(out, *dir, *lines) })
	}
	if *archiving {
		return archives(out, *dir, *lines, flag.Args())
	}
	if *keyed {
		return aMillion(out, *dir)
	}
	if *many {
		return profiled(*profile, func() error { return manyKeys(out, *dir, int64(*keysMillions*million), keysDays, *touches) })
	}
	if *kafka {
		return topics(out, *dir, *lines, *densities)
	}
	if *minutes > 0 {
		return flood(out, *weir, *dir, *minutes, *memory)
	}
	fmt.Fprintf(out, "%d processors, %s, %s lines each\n", runtime.NumCPU(), runtime.Version(), thousands(*lines))
	var faults []error
	for _, format := range []string{testkit.NginxJSON, testkit.Combined} {
		for density := range strings.SplitSeq(*densities, ",") {
			var d float64
			if _, err := fmt.Sscan(density, &d); err != nil {
				return fmt.Errorf("-densities %s: %w", density, err)
			}
			path := filepath.Join(*dir, fmt.Sprintf("%s-%s-%d.log", format, density, *lines))
			truth, err := generate(path, format, *lines, d)
			if err != nil {
				return err
			}
			fault, err := measure(out, *weir, path, format, density, truth)
			if err != nil {
				return err
			}
			faults = append(faults, fault)
		}
	}
	return errors.Join(faults...)
}

// tailAddresses is from how many addresses half of a log's requests come; the
// other half come from regulars. A quarter of the requests of such a log are
// from an address that was not there before: of real logs at most a sixth are.
const tailAddresses = 1_000_000

// logOptions are those of the logs that speed is measured with.
func logOptions(format string, lines int, density float64) testkit.LogOptions {
	return testkit.LogOptions{Seed: 1, Lines: lines, Density: density, Format: format, Addresses: tailAddresses}
}

// generate writes a log, once.
func generate(path, format string, lines int, density float64) (*testkit.Truth, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	truth, err := testkit.WriteLog(f, logOptions(format, lines, density))
	return truth, errors.Join(err, f.Close())
}

// measure runs wc, gawk and weir over one log, which wc has brought into the
// page cache. fault says where weir did not keep a limit.
func measure(out io.Writer, weir, path, format, density string, truth *testkit.Truth) (fault, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "\n%s, %s events a second of event time, %d bytes a line, %s addresses\n",
		format, density, info.Size()/int64(truth.Lines), thousands(truth.Addresses))
	field := `$1`
	if format == testkit.NginxJSON {
		field = `$8` // {"time_iso8601":"…","remote_addr":"…", split at quotes
	}
	for _, c := range []struct {
		name string
		cmd  *exec.Cmd
	}{
		{"wc -l", exec.Command("wc", "-l", path)},
		{"wc -l again", exec.Command("wc", "-l", path)},
		{"gawk, counting by address", exec.Command("gawk", "-F", `[" ]`, "{n["+field+"]++} END{print length(n)}", path)},
	} {
		took, err := timed(c.cmd)
		if err != nil {
			fmt.Fprintf(out, "  %-28s not measured: %v (apt-get install gawk)\n", c.name, err)
			continue
		}
		fmt.Fprintf(out, "  %-28s %12s lines/s\n", c.name, thousands(int(float64(truth.Lines)/took.Seconds())))
	}
	config := path + ".yaml"
	yaml := fmt.Sprintf("sources: [{name: bench, format: %s, disorder: 2s}]\nstate: {memory: 8GiB}\n", format)
	if err := os.WriteFile(config, []byte(yaml), 0o644); err != nil {
		return nil, err
	}
	const runs = 2
	for i := range runs {
		s, err := replay(weir, config, path)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "  %-28s %12s events/s   peak RSS %d MiB, %.3f allocations an event, %s keys, %.1f keys and %d bytes an address%s\n", "weir replay",
			thousands(int(s.EventsPerSecond)), s.PeakRSS>>20, s.Allocs, thousands(int(s.Keys)),
			float64(s.Keys)/float64(truth.Addresses), s.StateBytes/int64(truth.Addresses), degraded(s.Degraded))
		if i < runs-1 {
			continue
		}
		beyond, err := allocations(weir, config, path, s, int64(truth.Lines))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "    %.3f allocations an event behind the first quarter (limit %.2f)\n", beyond, mostAllocs)
		for _, sh := range s.Shapes {
			fmt.Fprintf(out, "    %-34s %10s keys, %4d bytes at the median, %5d at p99\n", sh.Key, thousands(sh.Keys), sh.P50, sh.P99)
		}
		if beyond > mostAllocs {
			fault = fmt.Errorf("%s at %s: %.3f allocations an event, must be at most %.2f", format, density, beyond, mostAllocs)
		}
	}
	return fault, nil
}

// mostAllocs is how often a run may ask for memory, an event behind its beginning.
const mostAllocs = 0.05

// allocations returns those an event behind the first quarter of a log, of which whole
// is the run: what rules and tables take once is not an event's.
func allocations(weir, config, path string, whole summary, lines int64) (float64, error) {
	quarter := path + ".quarter"
	defer os.Remove(quarter)
	if err := head(path, quarter, lines/4); err != nil {
		return 0, err
	}
	first, err := replay(weir, config, quarter)
	if err != nil {
		return 0, err
	}
	begin, end := float64(first.Events), float64(whole.Events)
	return (whole.Allocs*end - first.Allocs*begin) / (end - begin), os.RemoveAll(quarter + ".out")
}

// head copies the first lines of a file.
func head(from, to string, lines int64) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, w := bufio.NewReaderSize(in, 1<<20), bufio.NewWriterSize(f, 1<<20)
	for range lines {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// replay runs weir over a log and returns its summary.
func replay(weir, config, path string, env ...string) (s summary, err error) {
	result := path + ".out"
	cmd := exec.Command(weir, "replay", "-c", config, "--out", result, path)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return s, fmt.Errorf("%s: %w\n%s", cmd, err, text)
	}
	b, err := os.ReadFile(filepath.Join(result, "summary.json"))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

func degraded(d bool) string {
	if d {
		return ", DEGRADED"
	}
	return ""
}

func timed(cmd *exec.Cmd) (time.Duration, error) {
	start := time.Now()
	err := cmd.Run()
	return time.Since(start), err
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
