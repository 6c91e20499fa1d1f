# What a user would run against the idle group: it wants an answer.
test -n "$CLOUDSHIP_TEST_URL" && echo "testing $CLOUDSHIP_GROUP"
