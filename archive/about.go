package archive

import (
	"encoding/json"
	"fmt"
)

// fileFormat is the format that a file's metadata names.
const fileFormat = 1

// aboutKey is under what key a file's metadata say what is in it.
const aboutKey = "weir"

// about is what a file says of itself.
type about struct {
	Format      int              `json:"format"`
	Source      string           `json:"source"`
	Disorder    int64            `json:"disorder_ns"`
	MaxLateness int64            `json:"max_lateness_ns"`
	Unjudged    bool             `json:"unjudged"`
	Appended    bool             `json:"appended"` // some of its events have append times
	Partitions  []aboutPartition `json:"partitions"`
	RowGroups   []int32          `json:"row_groups"` // whose events each one has
	Gaps        []aboutGap       `json:"gaps,omitempty"`
}

// aboutPartition is what a file has of a partition.
type aboutPartition struct {
	Partition int32 `json:"partition"`
	First     int64 `json:"first"` // offsets
	Last      int64 `json:"last"`
	Events    int64 `json:"events"`
	Latest    int64 `json:"latest_ns"` // the largest time up to here
	// Follows is the offset behind the last event of the files before: where those
	// that are there end earlier, one is lost. 0: there was none, or nobody knows.
	Follows int64 `json:"follows,omitempty"`
}

// aboutGap is a run of offsets of which it is not known what was there.
type aboutGap struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"` // not included
}

// events returns how many events the file has.
func (a *about) events() (n int64) {
	for _, p := range a.Partitions {
		n += p.Events
	}
	return n
}

func (a *about) encode() (string, error) {
	b, err := json.Marshal(a)
	return string(b), err
}

// parseAbout reads what a file with a number of row groups says of itself.
func parseAbout(text string, groups int) (*about, error) {
	var a about
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if a.Format != fileFormat {
		return nil, fmt.Errorf("format %d, must be %d", a.Format, fileFormat)
	}
	if a.Source == "" || len(a.Partitions) == 0 || len(a.RowGroups) != groups {
		return nil, fmt.Errorf("metadata of %d row groups of %q, the file has %d", len(a.RowGroups), a.Source, groups)
	}
	seen := make(map[int32]bool, len(a.Partitions))
	for _, p := range a.Partitions {
		if p.Partition < 0 || p.Partition > maxPartition || p.First > p.Last || p.Events < 1 || p.Follows > p.First || seen[p.Partition] {
			return nil, fmt.Errorf("metadata: partition %d with %d events from %d to %d", p.Partition, p.Events, p.First, p.Last)
		}
		seen[p.Partition] = true
	}
	for _, p := range a.RowGroups {
		if !seen[p] {
			return nil, fmt.Errorf("metadata: a row group of partition %d, which is not listed", p)
		}
	}
	return &a, nil
}
