package pipeline

// Mark is one line of the journal: what a clock or a person decided. From
// Offset on, the watermark of the partition is at least Watermark (Unix
// seconds); that is all that an idle partition's waking has to say.
type Mark struct {
	Source    string `json:"source"`
	Partition int32  `json:"partition"` // the source's own number
	Offset    int64  `json:"offset"`
	Watermark int64  `json:"watermark"`
}
