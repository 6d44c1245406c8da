package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// DropPartitions drops the partitions of the months that had ended before a moment and in which nothing is left (Forget), with
// the space they take up, and returns how many. It needs the role that owns the schema. While it waits for what is under way,
// all else waits behind it, for as long as Options.Timeout at most; a month that is not had by then is tried again by the
// next call.
func DropPartitions(ctx context.Context, connection string, opts Options, before time.Time) (dropped int, err error) {
	opts, err = opts.complete()
	if err != nil {
		return 0, err
	}
	cfg, err := pgx.ParseConfig(connection)
	if err != nil {
		return 0, errors.New("postgres: not a connection string")
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return 0, fmt.Errorf("postgres: %w", hide(err))
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what was committed is committed
	rows, err := conn.Query(ctx, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relispartition AND c.relkind = 'r' AND c.relname LIKE 'records\_%' ORDER BY c.relname`, opts.Schema)
	if err != nil {
		return 0, fmt.Errorf("postgres: %w", hide(err))
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("postgres: %w", hide(err))
	}
	for _, name := range names {
		suffix := strings.TrimPrefix(name, "records_")
		m, err := time.Parse("200601", suffix)
		if err != nil || m.AddDate(0, 1, 0).After(before) { // of the rest, or not over
			continue
		}
		empty := false
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
			empty, err = dropMonth(ctx, tx, opts, suffix)
			return err
		})
		switch {
		case code(err) == "55P03": // somebody uses it
		case err != nil:
			return dropped, fmt.Errorf("postgres: partition: %w", hide(err))
		case empty:
			dropped++
		}
	}
	return dropped, nil
}

// dropMonth drops the partitions of one month if nothing is in them, which nothing can come into meanwhile.
func dropMonth(ctx context.Context, tx pgx.Tx, opts Options, suffix string) (empty bool, err error) {
	limit := strconv.FormatInt(opts.Timeout.Milliseconds(), 10)
	if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, limit); err != nil {
		return false, err
	}
	records, carriers := opts.Schema+".records_"+suffix, opts.Schema+".carriers_"+suffix
	err = tx.QueryRow(ctx, fmt.Sprintf(`SELECT NOT EXISTS (SELECT 1 FROM %s) AND NOT EXISTS (SELECT 1 FROM %s)`, records, carriers)).Scan(&empty)
	if err != nil || !empty { // most months are not empty, and nobody waits for that
		return false, err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(`LOCK TABLE %s.records, %s.carriers IN ACCESS EXCLUSIVE MODE`, opts.Schema, opts.Schema)); err != nil {
		return false, err
	}
	err = tx.QueryRow(ctx, fmt.Sprintf(`SELECT NOT EXISTS (SELECT 1 FROM %s) AND NOT EXISTS (SELECT 1 FROM %s)`, records, carriers)).Scan(&empty)
	if err != nil || !empty {
		return false, err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`DROP TABLE %s, %s`, records, carriers))
	return err == nil, err
}
