package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"weir/simulate/score"
)

// scorer runs trials: one process at a time, and no more than one log on disk.
type scorer struct {
	weir     string
	program  string // a hash of it
	work     string
	results  string
	progress io.Writer
}

func newScorer(f *flags, progress io.Writer) (*scorer, error) {
	weir, err := filepath.Abs(f.weir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(weir)
	if err != nil {
		return nil, fmt.Errorf("-weir: %w (make build)", err)
	}
	sum := sha256.Sum256(text)
	s := &scorer{weir: weir, program: hex.EncodeToString(sum[:6]), progress: progress}
	if f.results != "" {
		s.results = filepath.Join(f.results, s.program)
		if err := os.MkdirAll(s.results, 0o755); err != nil {
			return nil, err
		}
	}
	s.work, err = os.MkdirTemp("", "weir-score-")
	return s, err
}

func (s *scorer) close() error { return os.RemoveAll(s.work) }

// scored is what came of trials, in their order.
type scored struct {
	trials []trial
	merged []*score.Merged
	runs   [][]*score.Result // without their timelines
}

// of returns the trials of a part.
func (s *scored) of(part string) *scored {
	var out scored
	for i := range s.trials {
		if s.trials[i].part == part {
			out.trials, out.merged, out.runs = append(out.trials, s.trials[i]), append(out.merged, s.merged[i]), append(out.runs, s.runs[i])
		}
	}
	return &out
}

// score runs all trials.
func (s *scorer) score(ctx context.Context, trials []trial) (*scored, error) {
	found := &scored{trials: trials}
	for i := range trials {
		t := &trials[i]
		began := time.Now()
		var runs []*score.Result
		for seed := range t.seeds {
			r, err := s.one(ctx, t, uint64(seed+1))
			if err != nil {
				return nil, fmt.Errorf("%s, seed %d: %w", t.name(), seed+1, err)
			}
			r.Timeline, r.Why = nil, nil
			runs = append(runs, r)
		}
		m, err := score.Merge(runs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name(), err)
		}
		found.runs, found.merged = append(found.runs, runs), append(found.merged, m)
		passed := 0
		for k := range m.Goals {
			if m.Goals[k].Pass {
				passed++
			}
		}
		fmt.Fprintf(s.progress, "%3d/%d %-42s %d seeds, %d of %d goals in all of them, %s\n",
			i+1, len(trials), t.name(), t.seeds, passed, len(m.Goals), time.Since(began).Round(100*time.Millisecond))
	}
	return found, nil
}

// one makes a log, replays it and scores what was decided.
func (s *scorer) one(ctx context.Context, t *trial, seed uint64) (*score.Result, error) {
	kept := ""
	if s.results != "" {
		of := sha256.Sum256(fmt.Append(nil, t.scenario, "\n", t.variant, "\n", t.sets, "\n", t.adaptive, "\n", t.scale, "\n", seed))
		kept = filepath.Join(s.results, hex.EncodeToString(of[:8])+".json")
		switch text, err := os.ReadFile(kept); {
		case err == nil:
			return score.ReadResult(text)
		case !errors.Is(err, os.ErrNotExist):
			return nil, err
		}
	}
	dir := filepath.Join(s.work, "log")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	make := []string{"simulate", t.scenario, "--seed", fmt.Sprint(seed), "--scale", fmt.Sprint(t.scale), "--out", dir}
	if t.variant != "" {
		make = append(make, "--variant", t.variant)
	}
	if t.adaptive {
		make = append(make, "--adaptive")
	}
	for _, set := range t.sets {
		make = append(make, "--set", set)
	}
	decided := filepath.Join(dir, "decided")
	for _, args := range [][]string{make, {"replay", "-c", filepath.Join(dir, "weir.yaml"), "--out", decided, filepath.Join(dir, "access.log.zst")}} {
		if _, err := s.call(ctx, args...); err != nil {
			return nil, err
		}
	}
	text, err := s.call(ctx, "score", "--json", dir, decided)
	if err != nil {
		return nil, err
	}
	r, err := score.ReadResult(text)
	if err == nil && kept != "" {
		if err = os.WriteFile(kept+".new", text, 0o644); err == nil {
			err = os.Rename(kept+".new", kept)
		}
	}
	return r, err
}

// call runs weir, and returns what it prints.
func (s *scorer) call(ctx context.Context, args ...string) ([]byte, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, s.weir, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("weir %s: %w\n%s", strings.Join(args, " "), err, tail(errOut.String(), 2000))
	}
	return out.Bytes(), nil
}

// tail is the end of a text.
func tail(text string, most int) string { return text[max(0, len(text)-most):] }
