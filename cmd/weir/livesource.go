package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"weir/ingest"
	"weir/pipeline"
)

// validate reports what is wrong with a topic's configuration, as far as it says.
func (k *kafkaConfig) validate() error {
	err := k.Config.Validate()
	if k.Topic == "" {
		err = errors.Join(err, errors.New("topic: missing"))
	}
	if k.Start != "" {
		err = errors.Join(err, ingest.CheckStart(k.Start))
	}
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	return nil
}

// openTopic opens a source's topic: to be read on and on, or, for a replay, up
// to the ends that it has now. A replay without a journal reads all of it.
func (s *sourceConfig) openTopic(ctx context.Context, g *engine, marks []pipeline.Mark, untilEnd bool, log *slog.Logger) (*ingest.Topic, error) {
	opts, err := s.Kafka.Options(g.cfg.path, log)
	if err != nil {
		return nil, usagef("source %s: %w", s.Name, err)
	}
	start := s.Kafka.Start
	if untilEnd && (start == "end" || start == "") {
		start = "begin"
	}
	t, err := ingest.OpenTopic(ctx, ingest.TopicConfig{
		Name: s.Name, Client: opts, Topic: s.Kafka.Topic, Start: start, Starts: startsOf(marks, s.Name),
		ID: topicID(marks, s.Name), Group: s.Kafka.Group, Checkpointed: !untilEnd, UntilEnd: untilEnd, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.Name, err)
	}
	return t, nil
}

// topicID returns which topic the offsets of a journal's starts are of; empty
// where that is not known.
func topicID(marks []pipeline.Mark, source string) (id string) {
	for _, m := range marks {
		if m.Source == source && m.Event == pipeline.MarkStart && m.First != "" {
			id = m.First
		}
	}
	return id
}

// startsOf returns where the partitions of a source were begun, as a journal says.
func startsOf(marks []pipeline.Mark, source string) map[int32]int64 {
	starts := map[int32]int64{}
	for _, m := range marks {
		if m.Source == source && m.Event == pipeline.MarkStart {
			starts[m.Partition] = m.Offset
		}
	}
	return starts
}

// startingAt returns the marks of a journal, where the starts of partitions that
// have a position are these.
func startingAt(marks []pipeline.Mark, r *pipeline.Resume) []pipeline.Mark {
	if r == nil {
		return marks
	}
	marks = slices.Clone(marks)
	for i := range marks {
		if m := &marks[i]; m.Event == pipeline.MarkStart {
			if at, ok := r.Offset(m.Source, m.Partition); ok {
				m.Offset = at
				if id := r.Topic(m.Source); id != "" {
					m.First = id
				}
			}
		}
	}
	return marks
}

// openRotations opens a file and its rotations, as a live run that began with
// them read them.
func (s *sourceConfig) openRotations(c *config) (ingest.Source, error) {
	path := c.path(s.File.Path)
	paths := []string{path}
	if s.File.Follow {
		for _, pattern := range []string{path + ".*", path + "-*"} {
			found, err := filepath.Glob(pattern)
			if err != nil {
				return nil, usagef("source %s: %s: %w", s.Name, path, err)
			}
			paths = append(paths, found...)
		}
	}
	src, err := ingest.OpenFiles(s.Name, paths)
	if err != nil {
		return nil, usagef("source %s: %w", s.Name, err)
	}
	return src, nil
}

// openLive opens a source to be read on and on. Read says behind which offsets of
// it nothing has ever been read, as far as that is known. Note writes where a
// followed file begins.
func (e *environment) openLive(ctx context.Context, g *engine, sc sourceConfig, marks []pipeline.Mark, read map[int32]int64, note func(pipeline.Mark) error) (s pipeline.Source, err error) {
	if sc.unknownFormat() {
		if sc.Config, err = sc.peekFormat(ctx, g.cfg); err != nil {
			return s, err
		}
		e.log.Info("guessed the format", "source", sc.Name, "format", sc.formatName())
	}
	if err := sc.wasAnother(marks); err != nil {
		return s, err
	}
	var src ingest.Source
	if sc.Kafka != nil {
		src, err = sc.openTopic(ctx, g, marks, false, e.log)
	} else {
		src, err = sc.follow(g, marks, read, note, e.log)
	}
	if err != nil {
		return s, err
	}
	if s, err = sc.source(src, g.key, g.extras, g.opt); err != nil {
		return s, errors.Join(err, src.Close())
	}
	g.reads(&s)
	return s, nil
}

// peekFormat finds the format from the lines that a followed file has already.
func (s *sourceConfig) peekFormat(ctx context.Context, c *config) (cfg ingest.Config, err error) {
	path := c.path(s.File.Path)
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return cfg, usagef("source %s: format: missing, and %s has no line yet to guess it from", s.Name, path)
	}
	src, err := ingest.OpenFiles(s.Name, []string{path})
	if err != nil {
		return cfg, usagef("source %s: %w", s.Name, err)
	}
	peeked, cfg, err := guess(ctx, src, s.Config)
	if err := errors.Join(err, peeked.Close()); err != nil {
		return cfg, fmt.Errorf("source %s: %s: %w", s.Name, path, err)
	}
	return cfg, nil
}

func (s *sourceConfig) follow(g *engine, marks []pipeline.Mark, read map[int32]int64, note func(pipeline.Mark) error, log *slog.Logger) (ingest.Source, error) {
	at, err := g.cfg.places(s.File.Path)
	if err != nil {
		return nil, usagef("source %s: %w", s.Name, err)
	}
	cfg := ingest.FollowConfig{
		Name: s.Name, Paths: []string{g.cfg.path(s.File.Path)}, Start: s.File.Start, Key: g.key, Log: log,
		Reached: map[int32]int64{}, Read: read,
		Note: func(m ingest.FileMark) error {
			return note(pipeline.Mark{
				Event: pipeline.MarkFile, Source: s.Name, Partition: m.Partition, Offset: m.Offset, First: m.First, Log: at.written(m.Log),
			})
		},
	}
	for _, m := range marks {
		if m.Source != s.Name {
			continue
		}
		mark := ingest.FileMark{Partition: m.Partition, Log: at.here(m.Log), Offset: m.Offset, First: m.First}
		switch m.Event {
		case pipeline.MarkStart:
			cfg.Starts = append(cfg.Starts, mark)
		case pipeline.MarkFile:
			cfg.Files = append(cfg.Files, mark)
		}
		cfg.Reached[m.Partition] = max(cfg.Reached[m.Partition], m.Offset)
	}
	f, err := ingest.FollowFiles(cfg)
	if err != nil {
		return nil, usagef("source %s: %w", s.Name, err)
	}
	return &placed{f, at}, nil
}

// places knows how the paths of logs are written in the configuration: by that a
// journal knows them again, wherever the installation has been moved.
type places struct{ base string } // empty: they are absolute there

func (c *config) places(path string) (p places, err error) {
	if !filepath.IsAbs(path) {
		p.base, err = filepath.Abs(c.dir)
	}
	return p, err
}

// written returns the path of a log as it is written.
func (p places) written(log string) string {
	if below, err := filepath.Rel(p.base, log); p.base != "" && log != "" && err == nil {
		return below
	}
	return log
}

// here returns the path of a log as it is found. One that an older version wrote
// down is absolute.
func (p places) here(log string) string {
	if p.base == "" || log == "" || filepath.IsAbs(log) {
		return log
	}
	return filepath.Join(p.base, log)
}

// placed is followed logs that are known by what is written.
type placed struct {
	*ingest.Follow
	at places
}

// Log returns the path that identifies the log of a partition.
func (p *placed) Log(n int) string { return p.at.written(p.Follow.Log(n)) }

// wasAnother reports whether a source of this name was of another kind, whose
// positions mean something else.
func (s *sourceConfig) wasAnother(marks []pipeline.Mark) error {
	for _, m := range marks {
		if m.Source != s.Name || m.Event != pipeline.MarkStart {
			continue
		}
		switch {
		case m.Log != "" && s.Kafka != nil:
			return usagef("source %s: it was the file %s and is a topic now, and where it was read to means nothing there: give it another name", s.Name, m.Log)
		case m.Log == "" && m.First != "" && s.Kafka == nil:
			return usagef("source %s: it was a topic and is a file now, and where it was read to means nothing there: give it another name", s.Name)
		}
	}
	return nil
}
