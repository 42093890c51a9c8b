package pipeline

import "testing"

// How many events a partition may have open, before they raise its watermark,
// must be the same in a live run, in its next life and in a replay.
func TestThePartOfAPartitionDoesNotDependOnWhatAppearsLater(t *testing.T) {
	start := func(p int32, w int64) Mark {
		return Mark{Event: MarkStart, Source: "log", Partition: p, Watermark: w}
	}
	id := func(p int32) partitionID { return partitionID{"log", p} }
	live := newStarts(nil, []partitionID{id(0), id(1), id(2)})
	if live.recorded {
		t.Error("an empty journal is taken for one of an earlier life")
	}
	journal := []Mark{
		start(0, 0), start(1, 0), start(2, 0),
		{Event: MarkWake, Source: "log", Partition: 4, Watermark: 70},
		start(4, 50), start(3, 60), start(3, 65), // 4 appeared before 3
	}
	replay := newStarts(journal, []partitionID{id(0), id(1), id(2), id(3), id(4), id(5)})
	if !replay.recorded || replay.floor != 70 {
		t.Errorf("recorded %v, floor %d, want true and 70", replay.recorded, replay.floor)
	}
	for _, p := range []int32{0, 1, 2, 4, 3, 5} {
		want := map[int32]int{0: 3, 1: 3, 2: 3, 4: 4, 3: 5, 5: 6}[p]
		if a, b := live.share(id(p)), replay.share(id(p)); a != want || b != want {
			t.Errorf("partition %d has a %dth in the live run and a %dth in the replay, want a %dth", p, a, b, want)
		}
	}
	alone := newStarts(nil, []partitionID{id(0), id(1)})
	if a, b := alone.share(id(0)), alone.share(id(1)); a != 2 || b != 2 {
		t.Errorf("without a journal two partitions have a %dth and a %dth, want halves", a, b)
	}
	if at, ok := replay.offset(id(3)); !ok || at != 0 {
		t.Errorf("partition 3 begins at %d, %v", at, ok)
	}
	if _, ok := replay.offset(id(5)); ok {
		t.Error("partition 5 has a start that nobody recorded")
	}
}
