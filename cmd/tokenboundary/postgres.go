package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// notAllowed is what the database answers to a role that lacks a right.
const notAllowed = "42501"

// openPostgres opens the store in a database, and brings its schema up to date before, with its partitions, if it is to.
func openPostgres(ctx context.Context, p *config.Postgres, months *partitions) (*postgres.Store, error) {
	if p.Migrate {
		err := postgres.Migrate(ctx, string(p.DSN), p.Options)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == notAllowed {
			return nil, fmt.Errorf("%w: this role may not migrate; let one that owns the schema do it, and say migrate: false here", err)
		}
		if err != nil {
			return nil, err
		}
		months.keep(ctx)
	}
	return postgres.Open(ctx, string(p.DSN), p.Options)
}

const (
	// monthsAhead is how many months after the present one have a partition before they begin.
	monthsAhead = 2
	// partitionEvery is how often that is seen to.
	partitionEvery = 24 * time.Hour
)

// partitions keeps partitions of a database ahead of time. Where that fails, records lie in the partition of the rest.
type partitions struct {
	create func(ctx context.Context, from, until time.Time) error
	clock  clock.Clock
	log    *slog.Logger
}

// partitionsOf are those of a database.
func partitionsOf(p *config.Postgres, clk clock.Clock, log *slog.Logger) *partitions {
	return &partitions{clock: clk, log: log, create: func(ctx context.Context, from, until time.Time) error {
		return postgres.Partition(ctx, string(p.DSN), p.Options, from, until)
	}}
}

// keep makes sure that the present month and those after it have a partition.
func (p *partitions) keep(ctx context.Context) {
	now := p.clock.Now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC) // the 31st has no month after the next
	err := p.create(ctx, first, first.AddDate(0, monthsAhead, 0))
	if err != nil && ctx.Err() == nil {
		p.log.WarnContext(ctx, "records of some months have no partition of their own", "cause", err)
	}
}

// follow keeps them until ctx ends or the returned function is called, which waits for the end.
func (p *partitions) follow(ctx context.Context) (stop func()) {
	if p == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	ticker := p.clock.Ticker(partitionEvery)
	go func() {
		defer close(done)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.keep(ctx)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
