package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"time"

	"github.com/goccy/go-yaml"

	"weir/pipeline"
)

// fingerprint is a hash of all that decisions follow from besides the records,
// the tables and the journal: rules, site file, key, and what the configuration
// says about sources, enriching, stages and memory.
func (g *engine) fingerprint() (string, error) {
	h := sha256.New()
	c := g.cfg
	said, err := yaml.Marshal(struct {
		Stage, Site string
		Sources     []sourceConfig
		Enrich      enrichConfig
		Rules       rulesConfig
		Memory      int64
	}{c.Stage, c.Site, c.Sources, c.Enrich, c.Rules, c.memory()})
	if err != nil {
		return "", fmt.Errorf("configuration: %w", err)
	}
	part := func(name string, b []byte) {
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
	}
	part("configuration", said)
	part("key", g.key.MAC("fingerprint", nil))
	if c.Site != "" {
		b, err := os.ReadFile(c.path(c.Site))
		if err != nil {
			return "", fmt.Errorf("site: %w", err)
		}
		part("site", b)
	}
	for _, d := range c.ruleDirs() {
		err := fs.WalkDir(d.fs, d.name, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
				return err
			}
			b, err := fs.ReadFile(d.fs, name)
			part(name, b)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("rules: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// configMarks returns the marks of a journal that say by which configuration a
// run decided.
func configMarks(marks []pipeline.Mark) (found []pipeline.Mark) {
	for _, m := range marks {
		if m.Event == pipeline.MarkConfig {
			found = append(found, m)
		}
	}
	return found
}

// noteConfig writes into the journal by which configuration the run decides from
// here on, if it is another one than before.
func (l *liveRun) noteConfig() error {
	now, err := l.fingerprint()
	if err != nil {
		return err
	}
	before := configMarks(l.journal.Marks())
	n := len(before)
	if n > 0 && before[n-1].First == now {
		return nil
	}
	if n > 0 && l.decided() > 0 {
		l.env.log.Warn("the rules or the configuration are other ones than when this state last ran: the log is read again "+
			"from its start and decided by the new ones; decisions.jsonl keeps what was decided before",
			"until", time.Unix(l.decided(), 0).UTC().Format(time.RFC3339))
	}
	return l.journal.Append([]pipeline.Mark{{Event: pipeline.MarkConfig, Offset: int64(n), Watermark: l.decided(), First: now}})
}

// compareConfig says where a replay cannot decide what the run with its journal did.
func (g *engine) compareConfig(marks []pipeline.Mark, log *slog.Logger) error {
	before := configMarks(marks)
	if len(before) == 0 {
		return nil
	}
	now, err := g.fingerprint()
	if err != nil {
		return err
	}
	if last := before[len(before)-1]; last.First != now {
		log.Warn("the journal is of other rules or another configuration: what they decide may differ from what the run did")
	} else if len(before) > 1 {
		log.Warn("the rules or the configuration changed while the journal was written: a replay decides all of it by the last ones",
			"changes", len(before)-1)
	}
	return nil
}
