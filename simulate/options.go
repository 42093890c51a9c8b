package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options say how a scenario is played.
type Options struct {
	Seed     uint64
	Scale    float64 // of sizes and addresses; days stay days. 0: 1
	Variant  string  // what the log holds, one of Variants; empty: everything
	Format   string  // nginx-json (the default) or combined
	Start    time.Time
	Adaptive bool     // attackers react to what stops them
	Enforcer Enforcer // nil: nobody is stopped
}

// Variants are what logs lack.
var Variants = []string{"without-ja4", "without-credentials", "without-sessions", "combined"}

// Validate says what is wrong with options.
func (o Options) Validate() error { return o.complete() }

// complete fills in what was left out of the options, and checks them.
func (o *Options) complete() error {
	if o.Scale == 0 {
		o.Scale = 1
	}
	if !(o.Scale >= 1e-4 && o.Scale <= 100) {
		return fmt.Errorf("scale: %v, must be from 0.0001 to 100", o.Scale)
	}
	if o.Variant != "" && !slices.Contains(Variants, o.Variant) {
		return fmt.Errorf("variant: %q, must be one of %s", o.Variant, strings.Join(Variants, ", "))
	}
	if o.Format == "" {
		o.Format = FormatJSON
		if o.Variant == "combined" {
			o.Format = FormatCombined
		}
	}
	if o.Format != FormatJSON && o.Format != FormatCombined {
		return fmt.Errorf("format: %q, must be %s or %s", o.Format, FormatJSON, FormatCombined)
	}
	if o.Format == FormatCombined && o.Variant != "" && o.Variant != "combined" {
		return fmt.Errorf("format: %s holds no more than the variant combined, not %s", o.Format, o.Variant)
	}
	if o.Format == FormatCombined {
		o.Variant = "combined"
	} else if o.Variant == "combined" {
		return fmt.Errorf("variant: combined needs the format %s", FormatCombined)
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // a Monday
	}
	return nil
}

// The formats of a log.
const (
	FormatJSON     = "nginx-json"
	FormatCombined = "combined"
)
