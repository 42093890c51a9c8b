package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/archive"
	"weir/event"
	"weir/pipeline"
)

// archiveFiles returns the files of an archive, or the directories of one, that
// a replay was given by name or by glob; nothing where they are something else.
func archiveFiles(args []string) (files []string) {
	for _, arg := range args {
		found, err := filepath.Glob(arg)
		if err != nil || len(found) == 0 {
			found = []string{arg}
		}
		for _, f := range found {
			inside, err := filepath.Glob(filepath.Join(f, "*.parquet"))
			if !strings.HasSuffix(f, ".parquet") && (err != nil || len(inside) == 0) {
				return nil
			}
		}
		files = append(files, found...)
	}
	return files
}

// openArchive opens files of an archive: their sources, under the names that
// they had. What the configuration says of a source of that name counts; of the
// others, what the archive says.
func (e *environment) openArchive(p *prepared, files []string) error {
	found, err := archive.OpenFiles(files, archive.ReadConfig{Reads: p.readsAny(), Extras: p.extras})
	if err != nil {
		return usagef("%w", err)
	}
	// In the order of the configuration, in which decisions tell of partitions.
	slices.SortStableFunc(found, func(a, b *archive.Source) int { return cmp.Compare(p.place(a.Name()), p.place(b.Name())) })
	for i, src := range found {
		if files := src.Unchained(); len(files) > 0 && len(p.deciding) == 0 {
			e.log.Warn("whether files of the archive are lost cannot be told everywhere: an older weir wrote some that do not say what they follow",
				"source", src.Name(), "files", len(files), "first", files[0])
		}
		if before := src.Before(); len(before) > 0 {
			e.log.Warn("the source was read from another log before, whose offsets mean something else: what the archive has of that is not read, and decisions that a run based on it are not remade; it can be replayed by itself",
				"source", src.Name(), "before", strings.Join(before, " "))
		}
		// A run with a journal read what its configuration named, and nothing else.
		if len(p.deciding) > 0 && p.place(src.Name()) == len(p.cfg.Sources) {
			e.log.Info("not read: the run did not read it at that time", "source", src.Name())
			if err := src.Close(); err != nil {
				return err
			}
			continue
		}
		s, err := p.archived(src)
		if err != nil {
			for _, rest := range found[i:] {
				err = errors.Join(err, rest.Close())
			}
			return err
		}
		p.sources = append(p.sources, s)
	}
	p.format = "archive"
	return nil
}

// place returns where the configuration names a source; behind all others where
// it does not.
func (p *prepared) place(source string) int {
	for i := range p.cfg.Sources {
		if p.cfg.Sources[i].Name == source {
			return i
		}
	}
	return len(p.cfg.Sources)
}

// archived puts a source of an archive together with what is known of it.
func (p *prepared) archived(src *archive.Source) (s pipeline.Source, err error) {
	for i := range p.cfg.Sources {
		if sc := &p.cfg.Sources[i]; sc.Name == src.Name() {
			return sc.source(src, p.key, p.extras, p.opt)
		}
	}
	info := src.Info()
	return pipeline.Source{Source: src, Disorder: info.Disorder, MaxLateness: info.MaxLateness, Unjudged: info.Unjudged}, nil
}

// readsAny tells which fields anything of this replay reads: its rules, what its
// sources pass by, and, where rules change in the course of it, those of all.
func (p *prepared) readsAny() func(event.Field) bool {
	engines := p.deciding
	if len(engines) == 0 {
		engines = []*engine{p.engine}
	}
	var only []event.Field
	for i := range p.cfg.Sources {
		if cond, err := p.cfg.Sources[i].only(p.opt); err == nil && cond != nil {
			only = append(only, cond.Fields...)
		}
	}
	return func(f event.Field) bool {
		return slices.Contains(only, f) || slices.ContainsFunc(engines, func(g *engine) bool { return g.plan.Reads(f) })
	}
}

// openArchive opens the archive that a run writes, if it writes one.
func (l *liveRun) openArchive() error {
	dir := l.cfg.archiveDir()
	if dir == "" {
		return nil
	}
	reserve, err := l.cfg.archiveReserve()
	if err != nil {
		return err
	}
	c := archive.Config{Dir: dir, Size: l.cfg.archiveSize(), Reserve: reserve, Extras: l.extras, Log: l.env.log}
	// What an earlier configuration still decides may be of a source that is gone.
	for _, sc := range slices.Concat(l.cfg.Sources, l.by.cfg.Sources) {
		if slices.ContainsFunc(c.Sources, func(i archive.SourceInfo) bool { return i.Name == sc.Name }) {
			continue
		}
		s, err := sc.source(nil, l.key, l.extras, l.opt)
		if err != nil {
			return err
		}
		c.Sources = append(c.Sources, archive.SourceInfo{Name: sc.Name, Disorder: s.Disorder, MaxLateness: s.MaxLateness, Unjudged: s.Unjudged})
	}
	if l.archive, err = archive.Open(c); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

// openSourcesOf opens what a replay reads.
func (e *environment) openSourcesOf(ctx context.Context, p *prepared, format string, files []string, marks []pipeline.Mark) error {
	switch {
	case len(archiveFiles(files)) > 0:
		return e.openArchive(p, archiveFiles(files))
	case len(files) == 0 && len(p.cfg.Sources) > 0:
		return e.openRecorded(ctx, p, format, marks)
	}
	return e.open(ctx, p, format, files)
}

// lastFiles is how long a run that ends waits for what it archived to become
// files, which a replay can read. What is left is made so by the next run.
const lastFiles = 5 * time.Second

func (l *liveRun) closeArchive() error {
	if l.archive == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), l.ending.by(lastFilesBy, lastFiles))
	defer cancel()
	err := l.archive.Finish(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = nil
	case errors.Is(err, archive.ErrFull):
		l.env.log.Warn("what was archived last is made files by the next run", "error", err)
		err = nil
	}
	return errors.Join(err, l.archive.Close())
}
