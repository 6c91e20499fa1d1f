bind "tcp://0.0.0.0:9292"
threads 1, 4
workers 0
# What has been accepted when the old container is told to stop is answered.
drain_on_shutdown true
force_shutdown_after 8
