# The site as Rack alone.
run ->(_) { [200, { "content-type" => "text/plain", "x-version" => "rack" }, ["rack\n"]] }
