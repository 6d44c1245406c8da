package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
)

// Bounds on a connection. An answer may wait for as long as the revocation feed is polled, which is a minute at most.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 90 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeader         = 32 << 10
)

// Bounds on the end. Requests under way have drainTime to finish, then their contexts end, which ends a poll; whatever
// is still there after shutdownTime is cut off.
const (
	drainTime    = 2 * time.Second
	shutdownTime = 8 * time.Second
)

// options are the flags of serve.
type options struct {
	accept bool // a store that has lost entries
	debug  bool // log more
}

// serve serves by the configuration at path until it is told to end. An error before that is why it did not start.
func serve(path string, opts options, stderr io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if opts.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	b, err := build(ctx, cfg, opts.accept, log)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to end before it had started
	case err != nil:
		return err
	}
	defer func() {
		if closed := b.Close(); closed != nil && err == nil {
			err = fmt.Errorf("store: %w", closed)
		}
	}()
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	stopMetrics, err := serveMetrics(ctx, cfg.Metrics, b.metrics, log)
	if err != nil {
		return err
	}
	defer stopMetrics()
	warn(cfg, log)
	log.Info("listening", "listening", listener.Addr().String(), "issuer", cfg.Issuer)
	go follow(ctx, reload, b)
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	defer b.position.follow(ctx, log, lost)()
	defer b.months.follow(ctx)()
	defer b.keeps.follow(ctx)()
	defer b.review.follow(ctx)()
	for _, br := range b.brokers {
		stop, err := br.start(ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := answer(ctx, listener, b, log); err != nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, errUnknownStore) {
		return cfg.Store.Errorf("%w", cause)
	}
	return nil
}

// warn logs what can have no effect as it is configured.
func warn(cfg *config.Config, log *slog.Logger) {
	for _, c := range cfg.Clients {
		if c.Kind == tokenboundary.KindOperator && len(c.Groups) > 0 && c.Person == "" {
			log.Warn(c.Errorf("groups without a person: this operator can approve nothing").Error())
		}
	}
}

// follow reads the policies again at every signal. What comes of it is logged by the policies, and in /healthz.
func follow(ctx context.Context, reload <-chan os.Signal, b *boundary) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
			_ = b.policies.Reload(ctx)
			if b.trial != nil {
				_ = b.trial.Reload(ctx)
			}
		}
	}
}

// answer answers requests until ctx ends, and then waits for those under way.
func answer(ctx context.Context, listener net.Listener, h http.Handler, log *slog.Logger) error {
	requests, end := context.WithCancel(context.Background())
	defer end()
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("ending")
	limited, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	drain := time.AfterFunc(drainTime, end)
	defer drain.Stop()
	err := server.Shutdown(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("requests under way were cut off")
		err = server.Close()
	}
	if err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	log.Info("ended")
	return nil
}
