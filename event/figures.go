package event

// Figures says how the target of a decision stands: how many actors succeeded
// with it in seven days where only a customer can (Good), how many tried, and
// how many regulars the decision hits (see Decision.Regulars).
type Figures struct{ Good, Tried, Regulars float64 }

// Asked is a decision in force of whose target the figures are asked for, again
// and again while it is in force. Without a decision the whole site's are.
type Asked struct {
	*Decision
	// Memo is kept for whoever answers: what need not be looked for twice.
	Memo any
}
