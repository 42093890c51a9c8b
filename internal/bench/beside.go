package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// sided is one of two runs over the same lines at the same time.
type sided struct {
	Speed float64 // events a second
	CPU   float64 // µs of processor an event
	Keys  int64
	Cuts  []string // how long its checkpoints took
}

const (
	sideWith    = "with"
	sideWithout = "without"

	sideCheckpoint = 2 * checkpointEvery
)

// beside runs the same log with and without a store at the same time, each in a
// process of its own with half of the processors to run Go on. A machine on which others
// work changes its speed by more from minute to minute than checkpoints cost, so that
// runs in turns compare the minutes; these two share them. They also share the disk and
// the memory's bandwidth, and the kernel writes for one on whatever processor is free: so
// what the store costs beyond its own process slows the other as well, and is missing in
// the difference of speed as in that of processor time. Both are looked at.
//
// With half of the processors everything takes twice as long, so that checkpoints come
// half as often: the same work is between two of them as on all processors.
func beside(ctx context.Context, dir, log string, seconds int) (with, without sided, err error) {
	self, err := os.Executable()
	if err != nil {
		return with, without, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := func(name string, to *sided) func() error {
		var found, said bytes.Buffer
		cmd := exec.CommandContext(ctx, self, "-side", name, "-seconds", strconv.Itoa(seconds), "-dir", filepath.Join(dir, name), log)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", half()))
		cmd.Stdout, cmd.Stderr = &found, &said
		err := cmd.Start()
		return func() error {
			if err == nil {
				err = cmd.Wait()
			}
			if err != nil {
				cancel() // the other one alone shows nothing
				return fmt.Errorf("the run %s checkpoints: %w\n%s", name, err, said.Bytes())
			}
			return json.Unmarshal(found.Bytes(), to)
		}
	}
	errs := make(chan error, 2)
	for _, wait := range []func() error{start(sideWith, &with), start(sideWithout, &without)} {
		go func() { errs <- wait() }()
	}
	return with, without, errors.Join(<-errs, <-errs)
}

// half returns how many processors a side runs Go on.
func half() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// side is one of them: it writes what it found as JSON.
func side(out io.Writer, dir, log, name string, seconds int) error {
	src, err := mapLoop(log)
	if err != nil {
		return err
	}
	l := live{src: src.again(endless, 0, time.Duration(seconds)*time.Second)}
	switch name {
	case sideWith:
		l.dir, l.checkpoint = dir, sideCheckpoint
	case sideWithout:
	default:
		return fmt.Errorf("-side %s: it is %s or %s", name, sideWith, sideWithout)
	}
	r, err := l.run(context.Background())
	if err != nil {
		return errors.Join(err, src.close())
	}
	s := sided{Speed: r.speed(), CPU: r.used.Seconds() / float64(r.sum.Events) * 1e6, Keys: r.sum.Keys}
	for _, c := range r.cuts {
		s.Cuts = append(s.Cuts, fmt.Sprintf("%.2fs", c.Took.Seconds()))
	}
	return errors.Join(json.NewEncoder(out).Encode(s), src.close())
}
