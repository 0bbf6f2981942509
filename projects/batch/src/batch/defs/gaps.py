"""What fills the gaps of the reports by hour, day, week and month: a sensor each.

Departments and store profiles have theirs beside the asset.
"""

from batch.series import (
    COUPON_HOURS,
    DAILY_STORE_SALES,
    MONTHLY_COHORT_RETENTION,
    WEEKLY_PROMOTION_LIFT,
    WEEKLY_REPORT,
)
from platform_shared.schedules import gap_healing_sensor

store_sales_gap_sensor = gap_healing_sensor("batch", DAILY_STORE_SALES)
promotion_lift_gap_sensor = gap_healing_sensor("batch", WEEKLY_PROMOTION_LIFT)
weekly_report_gap_sensor = gap_healing_sensor("batch", WEEKLY_REPORT)
cohort_retention_gap_sensor = gap_healing_sensor("batch", MONTHLY_COHORT_RETENTION)
coupon_hours_gap_sensor = gap_healing_sensor("batch", COUPON_HOURS)
