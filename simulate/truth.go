package simulate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// What a scenario is written as, below one directory.
const (
	TruthFile  = "truth.json"     // a Truth
	LabelsFile = "labels.txt.zst" // of each line of the log, in its order, the name of its label
	ConfigFile = "weir.yaml"      // reads the log as it was made
	SiteFile   = "site.yaml"
)

// TruthVersion is the format of truth.json.
const TruthVersion = 1

// Truth says what is in a log that was made up: who sent what, and how much of
// it must be stopped.
type Truth struct {
	Version  int       `json:"v"`
	Scenario string    `json:"scenario"`
	Seed     uint64    `json:"seed"`
	Scale    float64   `json:"scale"` // of the sizes in the scenario
	Variant  string    `json:"variant,omitempty"`
	From     time.Time `json:"from"`  // of the first line
	Until    time.Time `json:"until"` // of the last one
	Lines    int64     `json:"lines"` // broken ones among them
	Log      string    `json:"log"`   // the name of the log's file
	Labels   []Label   `json:"labels"`
	Goals    []Goal    `json:"goals,omitempty"`
}

// Label is all lines of one sender's kind: a phase of a campaign, or an honest
// population.
type Label struct {
	Name      string    `json:"name"` // attack/CAMPAIGN/PHASE or honest/POPULATION
	Attack    bool      `json:"attack"`
	Campaign  string    `json:"campaign,omitempty"`
	Phase     string    `json:"phase,omitempty"`
	Title     string    `json:"title"` // one line for a reader
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	Requests  int64     `json:"requests"`
	Addresses int64     `json:"addresses"` // distinct
	Accounts  int64     `json:"accounts"`  // distinct names that were tried
}

// Goal is what a ruleset must reach on the labels that it names, as shares of
// requests unless said otherwise. What is nil is not demanded.
type Goal struct {
	Labels       string        `json:"labels"`                  // a pattern of path.Match over names of labels
	Blocked      *float64      `json:"blocked,omitempty"`       // at least, of an attack
	Stopped      *float64      `json:"stopped,omitempty"`       // at least, blocked or milder, of an attack
	FirstStop    time.Duration `json:"first_stop,omitempty"`    // at most, in nanoseconds; 0: the time of 60 requests of the phase, or 30 s
	Logins       bool          `json:"logins,omitempty"`        // Blocked and Stopped are of tries to log in, not of the pages around them
	Above        float64       `json:"above,omitempty"`         // Stopped is of what exceeds so many times the normal: the requests an hour before the first attack
	With         string        `json:"with,omitempty"`          // labels of the same client, as a pattern: what they send is part of the normal and of what exceeds it
	Passes       *float64      `json:"passes,omitempty"`        // at least, of the normal while the labels are there, is neither blocked nor milder
	MostBlocked  *float64      `json:"most_blocked,omitempty"`  // at most, of honest requests
	MostMilder   *float64      `json:"most_milder,omitempty"`   // at most, challenged or limited
	MostAccounts *float64      `json:"most_accounts,omitempty"` // at most, of honest accounts, blocked
	Alerted      bool          `json:"alerted,omitempty"`       // an alert or more, no later than FirstStop, is all that is demanded of an attack
	Attacking    bool          `json:"attacking,omitempty"`     // of honest requests, only those from addresses that attack, too; else only the others
	Anywhere     bool          `json:"anywhere,omitempty"`      // of honest requests, all of them
}

// ReadTruth reads truth.json of a scenario's directory.
func ReadTruth(dir fs.FS) (*Truth, error) {
	data, err := fs.ReadFile(dir, TruthFile)
	if err != nil {
		return nil, err
	}
	var t Truth
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", TruthFile, err)
	}
	if t.Version != TruthVersion {
		return nil, fmt.Errorf("%s: format %d, must be %d", TruthFile, t.Version, TruthVersion)
	}
	if len(t.Labels) == 0 || t.Log == "" {
		return nil, fmt.Errorf("%s: %w", TruthFile, errors.New("no labels or no log"))
	}
	return &t, nil
}

// Write writes truth.json, whole or not at all.
func (t *Truth) Write(path string) error {
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
