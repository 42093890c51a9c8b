package enrich

import (
	"encoding/binary"

	"weir/event"
)

// softPrefix begins a fingerprint that is made of client fields.
const softPrefix = "soft:"

// setFingerprint gives the event the fingerprint of its client: JA4, else JA3,
// else a keyed hash of the fields that a client keeps from request to request.
// That last one is soft: whoever wants another has it.
func (w *Worker) setFingerprint(e *event.Event, mem *event.Arena) {
	switch {
	case e.Fingerprint != "":
		return // as the log says
	case e.JA4 != "":
		e.Fingerprint = e.JA4
		return
	case e.JA3 != "":
		e.Fingerprint = e.JA3
		return
	case e.Agent == "" && e.Language == "" && e.TLS == "":
		return // the protocol alone is no trait
	}
	b := w.scratch[:0]
	for _, s := range [...]string{e.Agent, e.Language, e.Protocol, e.TLS} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	w.scratch = b
	const digits = "0123456789abcdef"
	out := append(mem.Grow(len(softPrefix)+16), softPrefix...)
	for h, shift := w.key.Hash(b), 60; shift >= 0; shift -= 4 {
		out = append(out, digits[h>>shift&15])
	}
	e.Fingerprint = mem.Keep(out)
	e.SoftFingerprint = true
}
