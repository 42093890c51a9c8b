package emit

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// sheltered calls a point, and makes a panic of it an error of this point alone.
// Elsewhere a panic ends the process, which is right: it may have left anything
// behind. A point only translates, and each list is read back and compared; but
// without the process no other point would be rid of what is over, and nobody
// could stop blocking.
func (r *Reconciler) sheltered(what string, call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("the point's code panicked", "in", what, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("a fault in weir's own code: %s panicked: %v", what, p)
		}
	}()
	return call()
}

// trouble logs errors: a new one at once, one that stays each minute.
type trouble struct {
	log  *slog.Logger
	text string
	said time.Time
}

func (t *trouble) is(text string) {
	switch now := time.Now(); {
	case text == "" && t.text != "":
		t.log.Info("the point is well again")
	case text != "" && (text != t.text || now.Sub(t.said) >= complainEvery):
		t.log.Error("point", "error", text)
		t.said = now
	}
	t.text = text
}
