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
		Short: "Run everything on embedded parts: a site under attack, its topic, the rules, a list for nginx",
		Long: "demo makes up a day of a shop's requests with three attacks in it, writes them into a topic of a\n" +
			"Kafka broker inside this process, and runs weir on it as on any other topic. Then it has one\n" +
			"more attack begin, live, and waits until it is on the list. It takes less than a minute and\n" +
			"about 80 MB in the folder that it names.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := e.demo(cmd.Context(), dir)
			if err != nil {
				return err
			}
			return d.print(e.out, calledAs(os.Args[0]))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder for the log, the configuration and the lists (default: a new temporary one)")
	return cmd
}

// The log of a demo: longer than a day, because what is known about regulars
// is known only then.
const (
	demoLines      = 120_000
	demoSpan       = 28 * time.Hour
	demoPartitions = 4
)

// demo is a demonstration that has been run.
type demo struct {
	dir, log string
	config   string
	bytes    int64
	prepared *prepared
	truth    *testkit.Truth
	events   int64
	read     time.Duration // of the day before
	made     []demoDecision
	score    *score
	live     liveAttack
	list     []string // of nginx, as it stood when the attack was on it
	held     int      // addresses on it
	why      string   // what weir why said
}

// demoDecision is a line of decisions.jsonl, as anybody's program would read it.
type demoDecision struct {
	Event  string            `json:"event"`
	ID     string            `json:"id"`
	Time   time.Time         `json:"time"`
	Until  time.Time         `json:"until"`
	Would  string            `json:"would"`
	To     string            `json:"to"`
	Except string            `json:"except"`
	Rule   string            `json:"rule"`
	Severe string            `json:"severity"`
	Target map[string]string `json:"target"`
}

// demo makes up the log, runs weir on it and scores the decisions.
func (e *environment) demo(ctx context.Context, dir string) (*demo, error) {
	var err error
	if dir == "" {
		if dir, err = os.MkdirTemp("", "weir-demo-"); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	} else if err = os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return nil, errors.Join(err, usagef("--dir: %s is not empty", dir))
	}
	d := &demo{dir: dir, log: filepath.Join(dir, "access.log"), config: filepath.Join(dir, "weir.yaml")}
	fmt.Fprintln(e.errOut, "making up a day of a shop's requests …")
	if err := d.write(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	quiet := *e
	quiet.out = io.Discard
	quiet.log = slog.New(slog.NewTextHandler(e.errOut, &slog.HandlerOptions{Level: slog.LevelError}))
	if err := d.runLive(ctx, &quiet); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if err := d.readDecisions(); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if d.prepared, err = quiet.prepare(ctx, d.config, "", []string{d.log}, nil, false); err != nil {
		return nil, err
	}
	d.score = newScore(d.truth, d.made)
	err = d.score.read(ctx, d.prepared)
	return d, errors.Join(err, d.prepared.close())
}

// write makes up the log.
func (d *demo) write() error {
	f, err := os.Create(d.log)
	if err != nil {
		return err
	}
	d.truth, err = testkit.WriteLog(f, testkit.LogOptions{
		Seed: 1, Lines: demoLines, Density: demoLines / demoSpan.Seconds(), Format: testkit.NginxJSON,
		Start: time.Now().Add(-demoSpan), Attacks: testkit.Attacks, ToEnd: true, Guests: true,
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

// readDecisions reads what the run decided.
func (d *demo) readDecisions() error {
	f, err := os.Open(filepath.Join(d.dir, "state", decisionsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var dec demoDecision
		if err := json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &dec); err != nil {
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
