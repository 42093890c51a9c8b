package broker

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger passes on what a client says about itself, for debugging only: what
// an operator should know is said as a Sentence by whoever owns the client.
type logger struct{ log *slog.Logger }

// Level is how much the client is to say.
func (l logger) Level() kgo.LogLevel {
	if l.log == nil || !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelNone
	}
	return kgo.LogLevelInfo
}

// Log says it.
func (l logger) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	l.log.Debug("kafka: "+msg, keyvals...)
}
