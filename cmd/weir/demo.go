package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"weir/event"
	"weir/internal/testkit"
)

func demoCommand(e *environment) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Write a log with attacks in it, replay it, and compare what was found with what was there",
		Long: "demo makes up the access log of a shop with three attacks in it, replays it through the\n" +
			"same pipeline as any other log, and compares what was found with what was there. It takes\n" +
			"a few seconds and about 80 MB in the folder that it names.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := e.demo(cmd.Context(), dir)
			if err != nil {
				return err
			}
			return d.print(e.out)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder for the log and the results (default: a new temporary one)")
	return cmd
}

// The log of a demo: longer than a day, because what is known about regulars
// is known only then.
const (
	demoLines = 120_000
	demoSpan  = 28 * time.Hour
)

// demo is a demonstration that has been run.
type demo struct {
	dir, log string
	bytes    int64
	prepared *prepared
	truth    *testkit.Truth
	summary  report
	made     []demoDecision
	score    *score
}

// demoDecision is a line of decisions.jsonl, as anybody's program would read it.
type demoDecision struct {
	Event   string    `json:"event"`
	ID      string    `json:"id"`
	Renews  string    `json:"renews"`
	Time    time.Time `json:"time"`
	Until   time.Time `json:"until"`
	Would   string    `json:"would"`
	To      string    `json:"to"`
	Except  string    `json:"except"`
	Rule    string    `json:"rule"`
	Severe  string    `json:"severity"`
	Version int       `json:"version"`

	Target   map[string]string  `json:"target"`
	Evidence map[string]float64 `json:"evidence"`
	Good     float64            `json:"good"`
	Tried    float64            `json:"tried"`

	line []byte
}

// demo writes the log, replays it and scores the decisions.
func (e *environment) demo(ctx context.Context, dir string) (*demo, error) {
	var err error
	if dir == "" {
		if dir, err = os.MkdirTemp("", "weir-demo-"); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	} else if err = os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	d := &demo{dir: dir, log: filepath.Join(dir, "access.log")}
	if err := d.write(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	quiet := environment{out: io.Discard, errOut: e.errOut, log: slog.New(slog.DiscardHandler)}
	if err := quiet.replay(ctx, &replayOptions{out: dir, files: []string{d.log}}); err != nil {
		return nil, err
	}
	if err := d.read(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if d.prepared, err = quiet.prepare(ctx, "", "", []string{d.log}, nil); err != nil {
		return nil, err
	}
	d.score = newScore(d.truth, d.made)
	err = d.score.read(ctx, d.prepared)
	return d, errors.Join(err, d.prepared.source.Close())
}

// write makes up the log.
func (d *demo) write() error {
	f, err := os.Create(d.log)
	if err != nil {
		return err
	}
	d.truth, err = testkit.WriteLog(f, testkit.LogOptions{
		Seed: 1, Lines: demoLines, Density: demoLines / demoSpan.Seconds(), Format: testkit.NginxJSON, Attacks: testkit.Attacks,
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	info, err := os.Stat(d.log)
	if err != nil {
		return err
	}
	d.bytes = info.Size()
	return nil
}

// read reads what the replay wrote.
func (d *demo) read() error {
	b, err := os.ReadFile(filepath.Join(d.dir, "summary.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &d.summary); err != nil {
		return fmt.Errorf("summary.json: %w", err)
	}
	f, err := os.Open(filepath.Join(d.dir, "decisions.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		dec := demoDecision{line: bytes.Clone(lines.Bytes())}
		if err := json.Unmarshal(dec.line, &dec); err != nil {
			return fmt.Errorf("decisions.jsonl: %w", err)
		}
		if dec.Event != event.End.String() {
			d.made = append(d.made, dec)
		}
	}
	return lines.Err()
}

func (d *demoDecision) severity() event.Severity {
	s, _ := event.SeverityByName(d.Severe)
	return s
}
