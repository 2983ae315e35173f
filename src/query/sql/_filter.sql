events.event_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND events.event_time < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    AND /*scope*/
