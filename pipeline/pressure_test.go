package pipeline

import "testing"

func TestWhatShortMemoryAsksFor(t *testing.T) {
	b := budgetOf(160) // above 60 dirty bytes a checkpoint comes, above 200 resident ones input waits
	for name, c := range map[string]struct {
		w           weights
		idle, short bool
	}{
		"room":                                 {weights{resident: 160, dirty: 40}, false, false},
		"clean keys":                           {weights{resident: 161, dirty: 100}, true, true},
		"clean keys, and little to write":      {weights{resident: 161, dirty: 15}, true, false},
		"hardly a clean key":                   {weights{resident: 161, dirty: 121}, false, true},
		"a directory is no key":                {weights{resident: 161, directory: 60, dirty: 61}, false, true},
		"much that is dirty":                   {weights{resident: 100, dirty: 61}, false, true},
		"much that always is":                  {weights{resident: 100, dirty: 75, stays: 60}, false, false},
		"more than always is":                  {weights{resident: 100, dirty: 76, stays: 60}, false, true},
		"over, with what is always dirty":      {weights{resident: 170, dirty: 40, stays: 36}, true, false},
		"over, and more than is always dirty":  {weights{resident: 170, dirty: 52, stays: 36}, true, true},
		"beyond, with what is always dirty":    {weights{resident: 201, dirty: 40, stays: 36}, true, true},
		"beyond, and nothing to write for it":  {weights{resident: 201, dirty: 15}, true, false},
		"beyond, with a directory of all keys": {weights{resident: 201, directory: 170, dirty: 15}, false, false},
	} {
		if idle, short := b.idle(c.w), b.short(c.w); idle != c.idle || short != c.short {
			t.Errorf("%s: keys leave as they are %v, a checkpoint comes %v; want %v, %v", name, idle, short, c.idle, c.short)
		}
	}
}
