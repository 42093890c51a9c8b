package event

// Kind is what an endpoint is for.
type Kind uint8

// The kinds of endpoints; NoKind is the empty kind.
const (
	NoKind Kind = iota
	Login
	Signup
	Reset
	Search
	Listing
	Product
	Inventory
	Cart
	Checkout
	Transfer
	Balance
	Giftcard
	Account
	Asset
	Health
	NumKinds = iota
)

var kindNames = [NumKinds]string{
	"", "login", "signup", "reset", "search", "listing", "product", "inventory", "cart", "checkout",
	"transfer", "balance", "giftcard", "account", "asset", "health",
}

// String returns the kind as rules write it; NoKind is empty.
func (k Kind) String() string { return kindNames[k] }

// KindByName returns the kind of that name; ok is false where there is none.
// The empty name is NoKind.
func KindByName(name string) (k Kind, ok bool) {
	for i, n := range kindNames {
		if n == name {
			return Kind(i), true
		}
	}
	return NoKind, false
}

// Outcome is what came of a request that tries something.
type Outcome uint8

// The outcomes; NoOutcome is empty.
const (
	NoOutcome Outcome = iota
	Success
	Failure
	numOutcomes
)

var outcomeNames = [numOutcomes]string{"", "success", "failure"}

// String returns the outcome as rules write it.
func (o Outcome) String() string { return outcomeNames[o] }

// OutcomeByName returns the outcome of that name; ok is false where there is none.
func OutcomeByName(name string) (o Outcome, ok bool) {
	for i, n := range outcomeNames {
		if n == name {
			return Outcome(i), true
		}
	}
	return NoOutcome, false
}

// Action is what a consequence asks an enforcement point for, and what one
// answered (Event.Refused).
type Action uint8

// The actions; NoAction is none. An alert tells people only.
const (
	NoAction Action = iota
	Block
	Limit
	Challenge
	Deceive
	Alert
	NumActions = iota
)

var actionNames = [NumActions]string{"", "block", "limit", "challenge", "deceive", "alert"}

// String returns the action as rules and logs write it; NoAction is empty.
func (a Action) String() string { return actionNames[a] }

// ActionByName returns the action of that name; ok is false where there is none.
func ActionByName(name string) (a Action, ok bool) {
	for i, n := range actionNames {
		if n == name {
			return Action(i), true
		}
	}
	return NoAction, false
}

// Stage is how far a rule may go.
type Stage uint8

// The stages, lowest first.
const (
	Shadow Stage = iota
	AlertOnly
	Enforce
	numStages
)

var stageNames = [numStages]string{"shadow", "alert", "enforce"}

// String returns the stage as rule files write it.
func (s Stage) String() string { return stageNames[s] }

// StageByName returns the stage of that name; ok is false where there is none.
func StageByName(name string) (s Stage, ok bool) {
	for i, n := range stageNames {
		if n == name {
			return Stage(i), true
		}
	}
	return Shadow, false
}

// Severity is how bad what a rule finds is.
type Severity uint8

// The severities, lowest first.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
	numSeverities
)

var severityNames = [numSeverities]string{"info", "low", "medium", "high", "critical"}

// String returns the severity as rule files write it.
func (s Severity) String() string { return severityNames[s] }

// SeverityByName returns the severity of that name; ok is false where there is none.
func SeverityByName(name string) (s Severity, ok bool) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), true
		}
	}
	return Info, false
}
