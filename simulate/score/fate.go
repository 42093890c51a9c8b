package score

import "weir/event"

// fate is what becomes of a request, the stronger the later.
type fate uint8

const (
	passed     fate = iota
	alerted         // somebody was told; the request passed
	limited         // it exceeded a rate
	challenged      // people pass a challenge, programs do not
	deceived        // it was answered with something that is not so
	blocked
	numFates
)

// stops reports whether a request that attacks comes to nothing.
func (f fate) stops() bool { return f >= limited }

// hard reports whether a person, too, is kept out.
func (f fate) hard() bool { return f >= deceived }

// fateOf is what an action does to the requests that it is about; a limit only
// to those that exceed its rate.
func fateOf(a event.Action) fate {
	switch a {
	case event.Block:
		return blocked
	case event.Deceive:
		return deceived
	case event.Challenge:
		return challenged
	case event.Limit:
		return limited
	case event.Alert:
		return alerted
	}
	return passed
}

// Hits counts requests, addresses or accounts by the strongest thing that
// befell them.
type Hits struct {
	Blocked    int64 `json:"blocked"`
	Deceived   int64 `json:"deceived,omitempty"`
	Challenged int64 `json:"challenged,omitempty"`
	Limited    int64 `json:"limited,omitempty"` // what exceeded the rate
	Alerted    int64 `json:"alerted,omitempty"` // passed, but somebody was told
}

// Hard is what was blocked or deceived.
func (h *Hits) Hard() int64 { return h.Blocked + h.Deceived }

// Milder is what was challenged or limited.
func (h *Hits) Milder() int64 { return h.Challenged + h.Limited }

// Stopped is what came to nothing, if it was an attack's.
func (h *Hits) Stopped() int64 { return h.Hard() + h.Milder() }

func (h *Hits) plus(o *Hits) {
	h.Blocked += o.Blocked
	h.Deceived += o.Deceived
	h.Challenged += o.Challenged
	h.Limited += o.Limited
	h.Alerted += o.Alerted
}

func (h *Hits) add(f fate, n int64) {
	switch f {
	case blocked:
		h.Blocked += n
	case deceived:
		h.Deceived += n
	case challenged:
		h.Challenged += n
	case limited:
		h.Limited += n
	case alerted:
		h.Alerted += n
	}
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
