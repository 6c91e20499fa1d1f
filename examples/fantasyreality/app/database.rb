# The season's picks, in one SQLite file. In WAL mode several processes of one machine may have it open, readers never wait,
# and writers wait for each other: so the old container and the new one serve side by side for a moment.
require "sqlite3"

class Database
  def initialize(path)
    @db = SQLite3::Database.new(path)
    @db.busy_timeout = 5000
    @db.execute("PRAGMA journal_mode = WAL")
    @db.execute("PRAGMA synchronous = FULL") # what was answered is on the disk
    @db.execute("CREATE TABLE IF NOT EXISTS picks (id TEXT PRIMARY KEY, contestant TEXT NOT NULL, at TEXT NOT NULL)")
    @lock = Mutex.new
  end

  def pick(id, contestant)
    @lock.synchronize { @db.execute("INSERT OR IGNORE INTO picks VALUES (?, ?, ?)", [id, contestant, Time.now.utc.strftime("%FT%T.%LZ")]) }
  end

  def ids = @lock.synchronize { @db.execute("SELECT id FROM picks ORDER BY at, id").flatten }

  def count = @lock.synchronize { @db.get_first_value("SELECT count(*) FROM picks") }
end
