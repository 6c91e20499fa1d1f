package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// database is a store in PostgreSQL, from version 9.5 on. Many stacks share its
// two tables; each has its prefix.
type database struct {
	pool   *pgxpool.Pool
	name   string
	prefix string
}

// makeTables is run by the first write that finds none. The lock is for those
// who come at the same moment.
const makeTables = `
	SELECT pg_advisory_xact_lock(7235419081);
	CREATE TABLE IF NOT EXISTS cloudship_snapshots (
		prefix text   NOT NULL,
		serial bigint NOT NULL,
		data   bytea  NOT NULL,
		PRIMARY KEY (prefix, serial)
	);
	CREATE TABLE IF NOT EXISTS cloudship_leases (
		prefix  text        NOT NULL PRIMARY KEY,
		version bigint      NOT NULL,
		data    bytea       NOT NULL,
		swapped timestamptz NOT NULL
	)`

// durable is selected from by every insert: a commit is answered when it is on
// the disk, however the server is set up.
const durable = `(SELECT set_config('synchronous_commit', 'on', true)) AS durable`

func openPostgres(ctx context.Context, u *url.URL) (Store, error) {
	query := u.Query()
	prefix := query.Get("prefix")
	query.Del("prefix")
	connection := *u
	connection.RawQuery = query.Encode()
	options, err := pgxpool.ParseConfig(connection.String())
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	options.MaxConns = 4
	// Prepared statements do not go through every pooler.
	options.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	options.ConnConfig.ConnectTimeout = answerTime
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), options)
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	name := fmt.Sprintf("postgres://%s/%s", u.Host, options.ConnConfig.Database)
	if prefix != "" {
		name += "?prefix=" + url.QueryEscape(prefix)
	}
	return &database{pool: pool, name: name, prefix: prefix}, nil
}

func (d *database) Name() string { return d.name }

func (d *database) Close() error {
	d.pool.Close()
	return nil
}

// SQLSTATEs that the contract has names for.
const (
	undefinedTable        = "42P01"
	insufficientPrivilege = "42501"
	diskFull              = "53100"
)

func sqlState(err error) string {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return answer.Code
	}
	return ""
}

// write runs a statement, making the tables first if there are none yet.
func (d *database) write(ctx context.Context, run func() error) error {
	err := run()
	if sqlState(err) == undefinedTable {
		if _, err = d.pool.Exec(ctx, makeTables, pgx.QueryExecModeSimpleProtocol); err == nil {
			err = run()
		}
	}
	switch sqlState(err) {
	case insufficientPrivilege:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case diskFull:
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func (d *database) Put(ctx context.Context, serial Serial, data []byte) error {
	return d.write(ctx, func() error {
		const insert = `INSERT INTO cloudship_snapshots (prefix, serial, data)
			SELECT $1::text, $2::bigint, $3::bytea FROM ` + durable + ` ON CONFLICT DO NOTHING`
		done, err := d.pool.Exec(ctx, insert, d.prefix, int64(serial), data)
		if err == nil && done.RowsAffected() == 0 {
			return ErrExists
		}
		return err
	})
}

func (d *database) Get(ctx context.Context, serial Serial) ([]byte, error) {
	var data []byte
	const query = `SELECT data FROM cloudship_snapshots WHERE prefix = $1 AND serial = $2`
	err := d.pool.QueryRow(ctx, query, d.prefix, int64(serial)).Scan(&data)
	if errors.Is(err, pgx.ErrNoRows) || sqlState(err) == undefinedTable {
		return nil, ErrAbsent
	}
	return data, err
}

func (d *database) List(ctx context.Context, after Serial) ([]Serial, error) {
	const query = `SELECT serial FROM cloudship_snapshots WHERE prefix = $1 AND serial > $2 ORDER BY serial`
	rows, err := d.pool.Query(ctx, query, d.prefix, int64(after))
	var serials []Serial
	if err == nil {
		serials, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Serial, error) {
			var n int64
			err := row.Scan(&n)
			return Serial(n), err
		})
	}
	if sqlState(err) == undefinedTable {
		return nil, nil
	}
	return serials, err
}

func (d *database) Delete(ctx context.Context, serial Serial) error {
	const query = `DELETE FROM cloudship_snapshots WHERE prefix = $1 AND serial = $2`
	_, err := d.pool.Exec(ctx, query, d.prefix, int64(serial))
	if sqlState(err) == undefinedTable {
		return nil
	}
	return err
}

func (d *database) Lease(ctx context.Context) (Record, error) {
	const query = `SELECT data, version, extract(epoch FROM clock_timestamp() - swapped)::float8
		FROM cloudship_leases WHERE prefix = $1`
	var (
		record  Record
		version int64
		age     float64
	)
	err := d.pool.QueryRow(ctx, query, d.prefix).Scan(&record.Data, &version, &age)
	if errors.Is(err, pgx.ErrNoRows) || sqlState(err) == undefinedTable {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	record.Version = strconv.FormatInt(version, 10)
	record.Age = time.Duration(age * float64(time.Second))
	return record, nil
}

func (d *database) SwapLease(ctx context.Context, version string, data []byte) (string, error) {
	const insert = `INSERT INTO cloudship_leases (prefix, version, data, swapped)
		SELECT $1::text, 1, $2::bytea, clock_timestamp() FROM ` + durable + ` ON CONFLICT DO NOTHING RETURNING version`
	const update = `UPDATE cloudship_leases SET version = version + 1, data = $2, swapped = clock_timestamp()
		WHERE prefix = $1 AND version = $3 RETURNING version`
	query, args := insert, []any{d.prefix, data}
	if version != "" {
		n, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			return "", ErrMoved
		}
		query, args = update, append(args, n)
	}
	var next int64
	err := d.write(ctx, func() error { return d.pool.QueryRow(ctx, query, args...).Scan(&next) })
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrMoved
	}
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(next, 10), nil
}
