"""What people read. In: tables, figures and images. Out: reports, pictures and sheets."""
