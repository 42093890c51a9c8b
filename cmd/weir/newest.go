package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir/ingest"
	"weir/internal/broker"
)

// How much of the end of a source is looked at.
const (
	newestBytes   = 4 << 20 // of a file
	newestRecords = 2000    // of a topic, all partitions together
	newestLines   = 5000
)

// newest returns a source of the newest lines of a source, and where they come
// from in words.
func (s *sourceConfig) newest(ctx context.Context, g *engine) (src ingest.Source, from string, err error) {
	if s.Kafka != nil {
		return s.newestRecords(ctx, g)
	}
	path := newestOf(g.cfg.path(s.File.Path))
	f, err := os.Open(path)
	if err != nil {
		return nil, path, fmt.Errorf("file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, path, fmt.Errorf("file: %w", err)
	}
	if info.IsDir() {
		return nil, path, fmt.Errorf("file: %s: a directory; name the file", path)
	}
	at := max(0, info.Size()-newestBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, at, newestBytes))
	if err != nil {
		return nil, path, fmt.Errorf("file: %w", err)
	}
	if at > 0 {
		_, b, _ = bytes.Cut(b, []byte{'\n'}) // the first is not whole
	}
	lines := bytes.Split(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'})
	if len(b) == 0 {
		lines = nil
	}
	lines = lines[max(0, len(lines)-newestLines):]
	records := make([]ingest.MemoryRecord, len(lines))
	for i, l := range lines {
		records[i] = ingest.MemoryRecord{Line: bytes.TrimSuffix(l, []byte{'\r'}), Offset: int64(i)}
	}
	return ingest.NewMemory(s.Name, [][]ingest.MemoryRecord{records}), path, nil
}

// newestOf returns the file that was written last of those that a pattern means.
func newestOf(pattern string) (path string) {
	path = pattern
	names, err := filepath.Glob(pattern)
	if err != nil {
		return path // not a pattern then: the name of a file
	}
	var last time.Time
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && (path == pattern || info.ModTime().After(last)) {
			path, last = name, info.ModTime()
		}
	}
	return path
}

func (s *sourceConfig) newestRecords(ctx context.Context, g *engine) (src ingest.Source, from string, err error) {
	quiet := slog.New(slog.DiscardHandler)
	opts, err := s.Kafka.Options(g.cfg.path, quiet)
	if err != nil {
		return nil, "", err
	}
	if err := broker.TryTopic(ctx, opts, s.Kafka.Topic, broker.Read); err != nil {
		return nil, "", err
	}
	// Both read up to an end, so that no position is committed.
	whole := ingest.TopicConfig{Name: s.Name, Client: opts, Topic: s.Kafka.Topic, Start: "end", UntilEnd: true, Log: quiet}
	end, err := ingest.OpenTopic(ctx, whole)
	if err != nil {
		return nil, "", err
	}
	starts := map[int32]int64{}
	for p := range end.Partitions() {
		starts[int32(p)] = max(0, end.Start(p)-int64(newestRecords/end.Partitions()))
	}
	from = fmt.Sprintf("topic %s, %s", s.Kafka.Topic, several(end.Partitions(), "partition"))
	if err := end.Close(); err != nil {
		return nil, from, err
	}
	whole.Start, whole.Starts = "begin", starts
	t, err := ingest.OpenTopic(ctx, whole)
	if err != nil {
		return nil, from, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	var all []ingest.MemoryRecord
	for p := range t.Partitions() {
		for len(all) < newestLines {
			var recs ingest.Records
			if err := t.Read(ctx, p, newestRecords, &recs); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, from, err
			}
			for i := range recs.Len() {
				all = append(all, ingest.MemoryRecord{Line: bytes.Clone(recs.Line(i)), Offset: int64(len(all))})
			}
		}
	}
	return ingest.NewMemory(s.Name, [][]ingest.MemoryRecord{all}), from, nil
}
