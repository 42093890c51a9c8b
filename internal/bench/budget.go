package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/testkit"
)

// What a flood must not do.
const (
	budgetMemory  = 512 << 20
	leastShare    = 0.70 // of the events a second that there are with room for all
	leastRecall   = 0.99 // of attackers at twice a threshold and more
	leastNear     = 0.90 // of those between one and two
	budgetMinutes = 60
	perMinute     = 1_000_000
	// roomyMinutes is how long the flood is at most that there is room for: what 60
	// minutes of it leave would take some 20 GiB. It is the slower the longer it is.
	roomyMinutes = 12
)

// crowdOf is the flood that all budgets are measured with. The threshold is
// that of ato.guessing_source.
func crowdOf(minutes, calm int) testkit.CrowdOptions {
	return testkit.CrowdOptions{
		Seed: 7, Minutes: minutes, PerMinute: perMinute, Attackers: 1000, Threshold: 20, Within: 9 * time.Minute, Forgetful: 1000, Calm: calm,
	}
}

// flooded is what came of one flood.
type flooded struct {
	summary
	usage
	truth            *testkit.CrowdTruth
	near, far, wrong int // attackers found, of each strength; honest addresses blocked
	held, met        int64
	firstWrong       string
	early, late      float64 // events a second in the first and the last quarter
}

// budget measures a flood of a million new addresses a minute with little
// memory, with room for everything, with so little disk that most of it has to be
// turned away, and so again where half as many addresses come twice each.
func budget(out io.Writer, weir, dir string, minutes int, caged bool) error {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "load %.4s; %s new addresses a minute for %d minutes, 1,000 attackers at one to two and 1,000 at two to four times the threshold\n",
		load, thousands(perMinute), minutes)
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	run := func(name, state string, opt testkit.CrowdOptions, limit int64) (flooded, error) {
		caging := limit
		if !caged {
			caging = 0
		}
		f, err := drown(weir, dir, name, state, opt, caging)
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(out, "  %-12s %11s events/s (%s in the first quarter, %s in the last), anonymous %d MiB, files %d MiB, both %d MiB at most, %d descriptors", name,
			thousands(int(f.EventsPerSecond)), thousands(int(f.early)), thousands(int(f.late)), f.anon>>20, f.file>>20, f.usage.peak>>20, f.descriptors)
		if limit > 0 && caged {
			fmt.Fprintf(out, ", cgroup %d MiB (limit %d, met %d times)", f.held>>20, limit>>20, f.met)
		}
		n := float64(opt.Attackers)
		fmt.Fprintf(out, "\n  %-12s %s keys, %d MiB accounted, shed %+v; found %.1f %% of the near, %.1f %% of the far attackers, %d honest addresses blocked%s\n", "",
			thousands(int(f.Keys)), f.StateBytes>>20, f.Shed, 100*float64(f.near)/n, 100*float64(f.far)/n, f.wrong, f.firstWrong)
		if r := float64(f.near) / n; r < leastNear {
			fault("%s: %.1f %% of the attackers between one and two times the threshold, must be at least %.0f %%", name, 100*r, 100*leastNear)
		}
		if r := float64(f.far) / n; r < leastRecall {
			fault("%s: %.1f %% of the attackers at twice the threshold, must be at least %.0f %%", name, 100*r, 100*leastRecall)
		}
		if f.wrong > 0 {
			fault("%s: %d honest addresses blocked, must be none%s", name, f.wrong, f.firstWrong)
		}
		if limit > 0 && f.anon > budgetMemory {
			fault("%s: %d MiB of memory, must be at most %d", name, f.anon>>20, budgetMemory>>20)
		}
		return f, nil
	}
	small, err := run("512 MiB", "memory: 512MiB", crowdOf(minutes, 0), budgetMemory)
	if err != nil {
		return err
	}
	roomy, err := run("roomy", "memory: 12GiB, disk: 96GiB", crowdOf(min(minutes, roomyMinutes), 0), 0)
	if err != nil {
		return err
	}
	if s := small.EventsPerSecond / roomy.EventsPerSecond; s < leastShare {
		fault("with little memory %.0f %% of the events a second, must be at least %.0f %%", 100*s, 100*leastShare)
	}
	shed, err := run("512 MiB disk", "memory: 512MiB, disk: 512MiB", crowdOf(max(6, minutes/6), 25), budgetMemory)
	if err != nil {
		return err
	}
	if shed.Shed.Keys+shed.Shed.TurnedAway == 0 {
		fault("on a small disk nothing was shed and nobody turned away, so this shows nothing")
	}
	// Who comes twice is admitted the second time, and others have to go for him.
	opt := crowdOf(max(6, minutes/6), 25)
	opt.Again = 2 * time.Second
	twice, err := run("each twice", "memory: 512MiB, disk: 512MiB", opt, budgetMemory)
	if err != nil {
		return err
	}
	if twice.Shed.Keys == 0 {
		fault("of addresses that come twice nothing was shed, so this shows nothing")
	}
	return errors.Join(faults...)
}

// drown has weir replay a flood, which is made while it is read.
func drown(weir, dir, name, state string, opt testkit.CrowdOptions, limit int64) (f flooded, err error) {
	dir = filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config := filepath.Join(dir, "weir.yaml")
	yaml := fmt.Sprintf("sources: [{name: flood, format: combined, disorder: 2s}]\nstate: {%s}\n", state)
	if err := os.WriteFile(config, []byte(yaml), 0o644); err != nil {
		return f, err
	}
	result := filepath.Join(dir, "found")
	cmd := exec.Command(weir, "replay", "-c", config, "--out", result, "-")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return f, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	in, err := cmd.StdinPipe()
	if err != nil {
		return f, err
	}
	var c *cage
	if limit > 0 {
		if c, err = newCage("weir-bench", limit); err != nil {
			return f, fmt.Errorf("a memory cgroup (run it as root, where /sys/fs/cgroup/memory can be written): %w", err)
		}
		defer func() { err = errors.Join(err, c.remove()) }()
	}
	if err := cmd.Start(); err != nil {
		return f, err
	}
	if c != nil {
		if err := c.put(cmd.Process.Pid); err != nil {
			return f, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
		}
	}
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		f.usage = watch(cmd.Process.Pid, stop)
	}()
	pace := pacing{to: in, lines: (opt.Minutes*opt.PerMinute + opt.Calm*6000) / quarters, at: []time.Time{time.Now()}}
	truth, writeErr := testkit.WriteCrowd(&pace, opt)
	f.early, f.late = pace.of(0), pace.of(quarters-1)
	f.truth = truth
	in.Close()
	waitErr := cmd.Wait()
	close(stop)
	<-watched
	if c != nil {
		f.held, f.met = c.most()
	}
	if waitErr != nil || writeErr != nil {
		text, _ := os.ReadFile(log.Name())
		return f, fmt.Errorf("%w, when %d MiB were anonymous and %d MiB of files\n%s", errors.Join(waitErr, writeErr), f.anon>>20, f.file>>20, text)
	}
	b, err := os.ReadFile(filepath.Join(result, "summary.json"))
	if err == nil {
		err = json.Unmarshal(b, &f.summary)
	}
	if err == nil && f.Events != int64(truth.Lines) {
		err = fmt.Errorf("%d events of %d", f.Events, truth.Lines)
	}
	if err != nil {
		return f, err
	}
	return f, f.score(filepath.Join(result, "decisions.jsonl"))
}

// pacing notes when each quarter of so many lines was taken.
type pacing struct {
	to    io.Writer
	lines int // of a quarter
	wrote int
	at    []time.Time
}

const quarters = 4

func (p *pacing) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.wrote += bytes.Count(b[:n], []byte{'\n'})
	for p.wrote >= p.lines*len(p.at) && len(p.at) <= quarters {
		p.at = append(p.at, time.Now())
	}
	return n, err
}

// of returns how many lines a second of a quarter were taken; 0 where it was not
// reached.
func (p *pacing) of(quarter int) float64 {
	if quarter+1 >= len(p.at) {
		return 0
	}
	return float64(p.lines) / p.at[quarter+1].Sub(p.at[quarter]).Seconds()
}

// score compares decisions with who is who.
func (f *flooded) score(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	found, wrong := map[string]bool{}, map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var d struct {
			Event, Rule, Would string
			Target             map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		address := d.Target["ip"]
		if d.Event != "new" || address == "" {
			continue
		}
		switch {
		case f.truth.Near[address] || f.truth.Far[address]:
			found[address] = true
		case d.Would == "block":
			wrong[address] = true
			if f.firstWrong == "" {
				f.firstWrong = fmt.Sprintf(" (the first is %s by %s)", address, d.Rule)
			}
		}
	}
	for address := range found {
		if f.truth.Near[address] {
			f.near++
		} else {
			f.far++
		}
	}
	f.wrong = len(wrong)
	return lines.Err()
}
