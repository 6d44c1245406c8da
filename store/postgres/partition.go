package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Partition makes sure that records issued in each month from the one of from to the one of until have a partition of
// their own, which can be detached and dropped whole once nothing in it is needed. Records of other months lie in a partition
// of the rest; a month of which it has records already is left there, and named in the error. It needs the role that owns the
// schema. Call it from time to time, for some months ahead.
func Partition(ctx context.Context, connection string, opts Options, from, until time.Time) error {
	opts, err := opts.complete()
	if err != nil {
		return err
	}
	cfg, err := pgx.ParseConfig(connection)
	if err != nil {
		return errors.New("postgres: not a connection string")
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("postgres: %w", hide(err))
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what was committed is committed
	var late []error
	for m := month(from); !m.After(until); m = m.AddDate(0, 1, 0) {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return partition(ctx, tx, opts, m) })
		switch {
		case raced(err): // another node has made it
		case code(err) == "23514": // the rest has rows of it
			late = append(late, fmt.Errorf("postgres: %s has records already", m.Format("2006-01")))
		case err != nil:
			return fmt.Errorf("postgres: partition: %w", err)
		}
	}
	return errors.Join(late...)
}

func month(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// partition makes the partitions of one month. While it waits for what is under way, all else waits behind it: not for long.
func partition(ctx context.Context, tx pgx.Tx, opts Options, m time.Time) error {
	limit := strconv.FormatInt(opts.Timeout.Milliseconds(), 10)
	if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, limit); err != nil {
		return err
	}
	const day = "2006-01-02 15:04:05Z07:00"
	for _, table := range []string{"records", "carriers"} {
		_, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %[1]s.%[2]s_%[3]s PARTITION OF %[1]s.%[2]s FOR VALUES FROM ('%[4]s') TO ('%[5]s')`,
			opts.Schema, table, m.Format("200601"), m.Format(day), m.AddDate(0, 1, 0).Format(day)))
		if err != nil {
			return err
		}
	}
	return nil
}
