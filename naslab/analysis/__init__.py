"""What a comparison showed: statistics, tables, figures, the report. Frame in, frame out, figures on top."""
