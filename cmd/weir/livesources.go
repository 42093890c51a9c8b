package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"weir/ingest"
	"weir/internal/broker"
	"weir/pipeline"
)

const (
	// tryAgain is how long after a source could not be opened it is tried again.
	tryAgain = time.Second
	// sayAgain is how often it is said what is waited for.
	sayAgain = 10 * time.Second
)

// openSources opens the sources that are not open yet, where the pipeline goes on.
func (l *liveRun) openSources(ctx context.Context) error {
	marks, _, err := pipeline.ReadJournal(l.dir.file(journalFile))
	if err != nil {
		return err
	}
	l.marks = marks
	for len(l.sources) < len(l.by.cfg.Sources) {
		sc := l.by.cfg.Sources[len(l.sources)]
		s, err := l.env.openLive(ctx, l.by, sc, startingAt(marks, l.resume), l.read(sc.Name), func(m pipeline.Mark) error {
			return l.insist(ctx, func() error { return l.journal.Append([]pipeline.Mark{m}) })
		})
		if err != nil && ctx.Err() == nil && l.isGone(&sc) {
			l.goWithout(len(l.sources), err)
			continue
		}
		if err != nil {
			return err
		}
		l.sources = append(l.sources, s)
		if err := l.archiveFrom(ctx, &s); err != nil {
			return err
		}
	}
	return nil
}

// archiveFrom tells the archive which topic a source is read from: of one that was
// deleted and created anew offsets come that it has events of already.
func (l *liveRun) archiveFrom(ctx context.Context, s *pipeline.Source) error {
	t, ok := s.Source.(*ingest.Topic)
	if !ok || l.archive == nil {
		return nil // a followed file goes on behind what was ever read of it
	}
	_, err := l.archive.ReadsFrom(ctx, s.Name(), t.ID(), t.Anew())
	return err
}

// read returns behind which offsets of a source's partitions nothing has ever been
// read, as far as the archive knows. Without an archive nobody needs it.
func (l *liveRun) read(source string) map[int32]int64 {
	if l.archive == nil {
		return nil
	}
	return l.archive.Reached(source)
}

// tryNewSources opens the sources that only a later era is going to read, and
// closes them again: what is wrong with one is said at the start.
func (l *liveRun) tryNewSources(ctx context.Context) error {
	for _, sc := range l.cfg.Sources {
		if slices.ContainsFunc(l.by.cfg.Sources, func(s sourceConfig) bool { return s.Name == sc.Name && s.sameLog(&sc) }) {
			continue
		}
		s, err := l.env.openLive(ctx, l.engine, sc, startingAt(l.marks, l.resume), l.read(sc.Name), func(pipeline.Mark) error { return nil })
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isGone reports whether a source of an earlier configuration is none of today's.
func (l *liveRun) isGone(sc *sourceConfig) bool {
	return !slices.ContainsFunc(l.cfg.Sources, func(s sourceConfig) bool { return s.Name == sc.Name && s.sameLog(sc) })
}

// goWithout leaves out a source that is not configured any more and cannot be
// read: the time that the present rules still decide has to do without it.
func (l *liveRun) goWithout(i int, why error) {
	gone := l.by.cfg.Sources[i].Name
	from := int64(0)
	if l.resume != nil {
		from = l.resume.Tick
	}
	l.env.log.Error("a source that is not configured any more cannot be read to where it was taken out: what it had in that time does not count, and a replay cannot remake that time",
		"source", gone, "from", time.Unix(from, 0).UTC().Format(time.RFC3339), "until", time.Unix(l.untilOf(l.era), 0).UTC().Format(time.RFC3339), "why", why)
	c := *l.by.cfg
	c.Sources = slices.Delete(slices.Clone(c.Sources), i, i+1)
	l.by.cfg = &c
}

// closeSources closes them.
func (l *liveRun) closeSources() (err error) {
	for i := range l.sources {
		err = errors.Join(err, l.sources[i].Close())
	}
	l.sources = nil
	return err
}

// worthWaiting reports whether a source that could not be opened is one that was
// read before and is only away. A new state has never reached its sources: what
// is wrong with them is more likely in the configuration.
func (l *liveRun) worthWaiting(err error) bool {
	return broker.Passing(err) && slices.ContainsFunc(l.marks, func(m pipeline.Mark) bool { return m.Event == pipeline.MarkStart })
}

// awaitSources opens the sources, and waits for those that are away: what is in
// force stays in force meanwhile, and ends in time.
func (l *liveRun) awaitSources(ctx context.Context) error {
	said := time.Now()
	if len(l.sources) == len(l.by.cfg.Sources) {
		l.sayReading()
		return nil
	}
	for {
		err := l.openSources(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			l.sayReading()
			return nil
		case !l.worthWaiting(err):
			return err
		case time.Since(said) >= sayAgain:
			said = time.Now()
			l.sayAway(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tryAgain):
		}
	}
}

// sayAway says what is waited for.
func (l *liveRun) sayAway(err error) {
	l.env.log.Warn("a source is away: weir waits for it", "error", err)
}

// sayReading says what is read.
func (l *liveRun) sayReading() {
	log := l.env.log
	for i := range l.sources {
		s := &l.sources[i]
		log.Info("reading", "source", s.Name(), "partitions", s.Partitions(), "disorder", s.Disorder, "slow", s.Slow)
		if s.Unjudged {
			log.Info("the source has no outcomes: visits stand in for successes", "source", s.Name())
		}
	}
}
