package enrich

import "weir/event"

// Explanation says where an event's endpoint, kind and outcome come from.
// Each is "site file", "log", "guessed" with how, or empty where there is none.
type Explanation struct{ Endpoint, Kind, Outcome string }

const (
	fromSite = "site file"
	fromLog  = "log"
	guessed  = "guessed"
)

// Explain says where the endpoint, kind and outcome of an enriched event come
// from. It is for people who look at samples: it works everything out anew.
func (w *Worker) Explain(e *event.Event) (x Explanation) {
	var mem event.Arena
	rt := w.routes.route(e.Method, e.Site, cleanPath(e.Path, &mem))
	x.Endpoint = guessed + ": by shape"
	if rt.site != nil {
		x.Endpoint = fromSite
	}
	if e.Kind != event.NoKind {
		x.Kind = guessed + ": by name"
		if rt.site != nil && !rt.site.Guess {
			x.Kind = fromSite
		}
	}
	o, told := rt.outcome(e)
	switch {
	case e.Outcome == event.NoOutcome:
	case e.Outcome != o:
		x.Outcome = fromLog
	case told:
		x.Outcome = fromSite
	default:
		x.Outcome = guessed + ": " + profileNames[rt.profile]
	}
	return x
}
