package score

// Nearest is how near a rule came to the requests of a phase that passed.
type Nearest struct {
	Label string    `json:"label"`
	Rule  string    `json:"rule"`
	Sees  int64     `json:"sees"`   // requests that passed, of which it looks at the keys
	Of    int64     `json:"passed"` // requests of the phase that passed
	Held  int64     `json:"held"`   // how often its condition held for the keys that were looked at
	Keys  []NearKey `json:"keys,omitempty"`
}

// NearKey is a key of requests that passed, and how near it came to the rule's
// condition at its nearest.
type NearKey struct {
	Key    string   `json:"key"`
	Score  float64  `json:"score"` // below 1: 1 would be that it held
	Values string   `json:"values"`
	Lacks  []string `json:"lacks"` // the parts of the condition that did not hold
}
