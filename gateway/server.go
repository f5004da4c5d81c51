package gateway

import (
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerOptions tunes the HTTP server of one listener. The zero value is good.
type ServerOptions struct {
	// ReadTimeout bounds the reading of one request with its body; 0 means 10 s.
	ReadTimeout time.Duration
	// WriteTimeout bounds the writing of one answer; streams extend it as they go. 0 means 30 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a quiet connection is kept; 0 means 60 s.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the request line and headers; 0 means 16 KiB.
	MaxHeaderBytes int
	// ErrorLog takes what the server itself has to say; nil means nobody hears it.
	ErrorLog *slog.Logger
	// ConnState is told when a connection changes its state (for the gauge of active connections).
	ConnState func(net.Conn, http.ConnState)
}

// Server returns a server that slow, silent and talkative clients cannot hold up. Stop it with Shutdown, after Drain.Begin.
func Server(h http.Handler, o ServerOptions) *http.Server {
	or := func(d, fallback time.Duration) time.Duration {
		if d == 0 {
			return fallback
		}
		return d
	}
	if o.MaxHeaderBytes == 0 {
		o.MaxHeaderBytes = 16 << 10
	}
	if o.ErrorLog == nil {
		o.ErrorLog = slog.New(slog.DiscardHandler)
	}
	read := or(o.ReadTimeout, 10*time.Second)
	return &http.Server{
		Handler:           h,
		ReadTimeout:       read,
		ReadHeaderTimeout: min(read, 5*time.Second),
		WriteTimeout:      or(o.WriteTimeout, 30*time.Second),
		IdleTimeout:       or(o.IdleTimeout, time.Minute),
		MaxHeaderBytes:    o.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.ErrorLog.Handler(), slog.LevelWarn),
		ConnState:         o.ConnState,
		// OPTIONS * is a path like others: it does not exist.
		DisableGeneralOptionsHandler: true,
	}
}
